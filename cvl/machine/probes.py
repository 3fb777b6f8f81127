"""Questions to a machine that may be broken: side by side, each with an end, and none raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cvl.core.doctor.facts import Unread
from cvl.errors import CvlError

T = TypeVar("T")


class Probes:
    """Started probes. A hung driver or file system holds a thread for ever: it is left behind."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.unread: list[Unread] = []

    def start(self, name: str, read: Callable[[], T]) -> Callable[[T], T]:
        """Begin to read; the answer is a function that waits for it, and gives what it is called
        with when there is none."""
        found: list[T] = []
        failed: list[str] = []
        until = time.monotonic() + self._timeout_s

        def work() -> None:
            try:
                found.append(read())
            except CvlError as error:
                failed.append(error.message)
            except Exception as error:
                failed.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=work, daemon=True, name=f"cvl-probe-{name}")
        thread.start()

        def answer(otherwise: T) -> T:
            thread.join(max(0.0, until - time.monotonic()))
            if found:
                return found[0]
            why = failed[0] if failed else f"no answer within {self._timeout_s:g} s"
            self.unread.append(Unread(name, why))
            return otherwise

        return answer
