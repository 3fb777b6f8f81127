"""What a run tells while it goes on. The command line draws it, HTTP will stream it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """`done` of `total` `unit`s of a step; total 0 when nobody knows."""

    step: str
    phase: str
    done: float
    total: float
    unit: str
    text: str = ""


class Report(Protocol):
    """Receives events, from any thread."""

    def phase(self, step: str, phase: str, text: str = "") -> None:
        """A step entered a phase: build, wait, run, publish, cached, done, failed."""

    def progress(self, progress: Progress) -> None: ...

    def message(self, text: str) -> None:
        """One line that the user should read."""

    def warning(self, text: str) -> None: ...


class Silent:
    """A report that nobody reads."""

    def phase(self, step: str, phase: str, text: str = "") -> None:
        return

    def progress(self, progress: Progress) -> None:
        return

    def message(self, text: str) -> None:
        return

    def warning(self, text: str) -> None:
        return
