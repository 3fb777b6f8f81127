"""Bytes as they arrive: from the connection, and in the form in which huggingface_hub tells them:
to a progress bar."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from cvl.errors import WeightsError
from cvl.hub.messages import Bytes, Reply

EVERY_S = 0.2


class Arriving:
    """Counts for all files of a request and says how far they are, a few times a second.

    A bar hears of bytes when a piece of a MiB is whole. Those that have come since, over the
    connection of a thread, count as well: over a slow line that is all there is to tell.
    """

    def __init__(self, say: Callable[[Reply], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._count = 0
        self._loose: dict[int, int] = {}
        self._said = 0.0

    def over_the_wire(self, count: int) -> None:
        """So many bytes came, as part of a piece."""
        with self._lock:
            thread = threading.get_ident()
            self._loose[thread] = self._loose.get(thread, 0) + count
            self._tell()

    def add(self, count: int) -> None:
        """A piece is whole, or, below zero, was in vain."""
        with self._lock:
            self._loose.pop(threading.get_ident(), None)
            self._count += count
            self._tell()

    def _tell(self) -> None:
        if time.monotonic() - self._said >= EVERY_S:
            self._said = time.monotonic()
            self._say(Bytes(self._count + sum(self._loose.values())))

    def bar(self, size: int) -> type:
        """A class that stands for tqdm, for a file of `size` bytes: more of them end it, so that
        who sends without end fills no disk."""
        arriving = self

        class Bar(_Bar):
            came = 0

            def update(self, count: float | None = 1) -> None:
                arriving.add(int(count or 0))
                self.came += int(count or 0)
                if self.came > size:
                    raise WeightsError(
                        f"a file of {size} bytes goes on behind its end",
                        hint="the server, or something on the way, sends another file: try "
                        "another network or HF_ENDPOINT",
                        code="wrong_bytes",
                    )

        return Bar


class _Bar:
    """What huggingface_hub does to a bar."""

    def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
        self.update(initial)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, count: float | None = 1) -> None:
        return

    def close(self) -> None:
        return

    def set_postfix_str(self, *_: Any, **__: Any) -> None:
        return
