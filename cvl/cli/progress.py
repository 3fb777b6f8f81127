"""A run's events on a terminal, as plain lines for CI, or as JSON lines; always on stderr."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cvl.core.names import printable
from cvl.core.units import size
from cvl.ops.report import Progress, Report, Silent

PLAIN_EVERY_S = 10.0


@contextmanager
def make_report(mode: str) -> Iterator[Report]:
    """auto: tty on a terminal, plain elsewhere."""
    if mode == "auto":
        mode = "tty" if sys.stderr.isatty() else "plain"
    if mode == "tty":
        from cvl.cli.live import live_report

        with live_report() as report:
            yield report
    else:
        reports: dict[str, Callable[[], Report]] = {"json": JsonReport, "quiet": Silent}
        yield reports.get(mode, PlainReport)()


class Clock:
    """Rate and time left of a thing that is being counted."""

    def __init__(self) -> None:
        self._began: dict[str, dict[str, tuple[float, float]]] = {}

    def begin(self, step: str) -> None:
        """What a step counted before, in an earlier variation say, tells nothing of now."""
        self._began.pop(step, None)

    def estimate(self, progress: Progress) -> tuple[float | None, float | None]:
        """(units per second, seconds left), each None while nobody can know."""
        now = time.monotonic()
        phases = self._began.setdefault(progress.step, {})
        began, first = phases.setdefault(progress.phase, (now, progress.done))
        elapsed, made = now - began, progress.done - first
        if elapsed < 0.5 or made <= 0:
            return None, None
        rate = made / elapsed
        return rate, max(0.0, progress.total - progress.done) / rate if progress.total else None


def describe(progress: Progress, clock: Clock) -> str:
    """`120/300 frames, 85.1/s, 2 s left`; `1.2 GB/4.5 GB, 85 MB/s, 39 s left`."""
    rate, left = clock.estimate(progress)
    if progress.unit == "B":
        parts = [f"{size(progress.done)}/{size(progress.total)}"]
    else:
        parts = [f"{progress.done:g}/{progress.total:g} {progress.unit}".strip()]
    if rate is not None and progress.phase != "build":
        parts.append(f"{size(rate)}/s" if progress.unit == "B" else f"{rate:.1f}/s")
    if left is not None and progress.phase != "build":
        parts.append(f"{_duration(left)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    """48 s, 12 min, 3 h 20 min."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class PlainReport:
    """A line per phase, and per step one line every ten seconds."""

    def __init__(self) -> None:
        self._clock = Clock()
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def phase(self, step: str, phase: str, text: str = "") -> None:
        self._said[step] = time.monotonic()
        self._clock.begin(step)
        self._print(f"{step}: {phase}" + (f" ({text})" if text else ""))

    def progress(self, progress: Progress) -> None:
        now = time.monotonic()
        self._clock.estimate(progress)
        if now - self._said.get(progress.step, 0.0) < PLAIN_EVERY_S:
            return
        self._said[progress.step] = now
        text = f": {progress.text}" if progress.text else ""
        self._print(f"{progress.step}: {progress.phase} {describe(progress, self._clock)}{text}")

    def message(self, text: str) -> None:
        self._print(text)

    def warning(self, text: str) -> None:
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        with self._lock:
            print(printable(text, 500), file=sys.stderr, flush=True)


class JsonReport:
    """One JSON object a line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def _emit(self, **fields: Any) -> None:
        with self._lock:
            print(json.dumps({"time": time.time(), **fields}), file=sys.stderr, flush=True)

    def phase(self, step: str, phase: str, text: str = "") -> None:
        self._emit(event="phase", step=step, phase=phase, text=text)

    def progress(self, progress: Progress) -> None:
        self._emit(
            event="progress", step=progress.step, phase=progress.phase, done=progress.done,
            total=progress.total, unit=progress.unit, text=progress.text,
        )  # fmt: skip

    def message(self, text: str) -> None:
        self._emit(event="message", text=text)

    def warning(self, text: str) -> None:
        self._emit(event="warning", text=text)
