"""What large files hold, remembered for as long as nothing was done to them, so that a file of many
GB is not read again to find that a result is known."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from cvl.errors import DiskFullError
from cvl.store.atomic import write_atomic
from cvl.store.dirs import make_private

LEAST = 1 << 20
"""Bytes; a smaller file is read sooner than its digest is written down."""
SETTLED_NS = 2 * 10**9
"""A file that was changed this shortly ago may change once more within one tick of its clock."""
_LINE = re.compile(r"[0-9 ]+ [0-9a-f]{64}")
Identity = tuple[int, int, int, int, int]
"""Of a file: device, inode, size, mtime and ctime in nanoseconds. Whoever puts an old mtime back
cannot put the ctime back."""


class Digests:
    """sha256 by identity: one small file per inode. Losing any of it costs reading a file again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def known(self, identity: Identity) -> str:
        """sha256 (hex) of the file with this identity; empty when it is not known."""
        try:
            line = self._place(identity).read_text()
        except (OSError, ValueError):
            return ""
        stated, _, sha256 = line.rpartition(" ")
        return sha256 if _LINE.fullmatch(line) and stated == _text(identity) else ""

    def remember(self, identity: Identity, sha256: str) -> None:
        """The file held this; what is small or was changed just now is not written down, nor
        anything on a full disk."""
        settled = time.time_ns() - max(identity[3:]) > SETTLED_NS
        if identity[2] < LEAST or not settled:
            return
        with contextlib.suppress(DiskFullError):
            make_private(self.root)
            write_atomic(self._place(identity), f"{_text(identity)} {sha256}".encode())

    def forget(self, identity: Identity) -> None:
        self._place(identity).unlink(missing_ok=True)

    def _place(self, identity: Identity) -> Path:
        return self.root / f"{identity[0]}-{identity[1]}"


def _text(identity: Identity) -> str:
    return " ".join(map(str, identity))
