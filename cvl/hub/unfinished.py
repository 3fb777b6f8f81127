"""Files that this process has begun and not finished: removed when it has to end before they are.

Open files show under which names they are written. Between being closed and being renamed they do
not, so the names that huggingface_hub makes up are remembered as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import threading
import time
import uuid
from pathlib import Path

PARTS = (".incomplete", ".part")
PLACES = ("*/blobs/*.incomplete", "*/blobs/tmp_*", "*/refs/*.tmp")
_ID = re.compile(r"\.([0-9a-f]{8})\.(?:incomplete|tmp)$|^tmp_([0-9a-f]{8})-")
PASSES, PAUSE_S = 3, 0.02
"""A thread may be about to open a file whose name it has made up already."""
F_GETPATH = 50
"""macOS: the name of an open file."""


class Unfinished:
    """Takes the place of the module uuid in the library, which uses it for these names alone."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._naming = threading.RLock()  # a signal may come while the same thread holds it

    def remember(self) -> None:
        """From now on, for all downloads."""
        from huggingface_hub import file_download

        file_download.uuid = self  # type: ignore[assignment, attr-defined]

    def uuid4(self) -> uuid.UUID:
        with self._naming:
            made = uuid.uuid4()
            self._ids.add(made.hex[:8])
            return made

    def remove(self) -> None:
        """All of them; nothing more can be begun."""
        self._naming.acquire()
        for number in range(PASSES):
            time.sleep(PAUSE_S if number else 0)
            for path in [*_open_files(), *self._named()]:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _named(self) -> list[str]:
        if not self._ids:
            return []
        from huggingface_hub import constants

        hub = Path(constants.HF_HUB_CACHE)
        found = (path for place in PLACES for path in hub.glob(place))
        return [str(path) for path in found if self._is_ours(path.name)]

    def _is_ours(self, name: str) -> bool:
        match = _ID.search(name)
        return match is not None and (match[1] or match[2]) in self._ids


def _open_files() -> list[str]:
    """Those under names of unfinished ones: each download has a name of its own."""
    found = []
    for descriptor in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            path = _name_of(int(descriptor))
            if path.endswith(PARTS):
                found.append(path)
    return found


def _name_of(descriptor: int) -> str:
    if sys.platform == "darwin":
        return fcntl.fcntl(descriptor, F_GETPATH, bytes(1024)).rstrip(b"\0").decode()
    return os.readlink(f"/proc/self/fd/{descriptor}")
