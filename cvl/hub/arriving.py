"""Bytes as they arrive, in the form in which huggingface_hub tells them: to a progress bar."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from cvl.hub.messages import Bytes, Reply

EVERY_S = 0.2


class Arriving:
    """Counts for all files of a request and says how far they are, a few times a second."""

    def __init__(self, say: Callable[[Reply], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._count = 0
        self._said = 0.0

    def add(self, count: int) -> None:
        with self._lock:
            self._count += count
            due = time.monotonic() - self._said >= EVERY_S
            if due:
                self._said = time.monotonic()
                self._say(Bytes(self._count))

    def bar(self) -> type:
        """A class that stands for tqdm."""
        arriving = self

        class Bar(_Bar):
            def update(self, count: float | None = 1) -> None:
                arriving.add(int(count or 0))

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
