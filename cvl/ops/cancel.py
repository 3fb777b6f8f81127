"""One place that knows whether the user wants out, and how badly."""

from __future__ import annotations

import threading

from cvl.errors import Cancelled


class Cancel:
    """First signal: stop in order. Second: stop now. Further ones change nothing."""

    def __init__(self) -> None:
        self.signum = 0
        self.forced = False
        self._event = threading.Event()

    def request(self, signum: int) -> None:
        """Called from a signal handler, so it only sets flags."""
        if self.signum:
            self.forced = True
        else:
            self.signum = signum
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled when the user wants out."""
        if self.requested:
            raise Cancelled(self.signum)

    def pause(self, seconds: float) -> None:
        """Sleep, but not past a signal; raises Cancelled then."""
        self._event.wait(seconds)
        self.check()
