"""Follow one container to its end: its log into a file, its events to the report, and stop it when
the user or the clock says so."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from cvl import faultpoint
from cvl.core.names import printable
from cvl.core.outcome import StopReason
from cvl.engine.protocol import Engine, Run
from cvl.errors import EngineError
from cvl.ops.cancel import Cancel
from cvl.ops.report import Progress, Report

POLL_S = 0.1
KILL_WAIT_S = 10
LOG_BYTES = 8 << 20
TAIL_BYTES = 16 << 10
MAX_EVENT = 64 << 10
MAX_POLL = 1 << 20
NO_EVENT = (ValueError, LookupError, TypeError, OverflowError, RecursionError)
MAX_RESULT = 1 << 20


class BoundedLog:
    """A log file of at most twice LOG_BYTES: the older half is dropped as a whole. A full disk
    costs the log, never the run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail = bytearray()
        self._stream: FileIO | None = None
        self._size = 0
        with contextlib.suppress(OSError):
            self._open()

    def _open(self) -> None:
        self._stream = self.path.open("ab", buffering=0)
        self._size = self.path.stat().st_size

    def write(self, chunk: bytes) -> None:
        """Append raw bytes."""
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        with contextlib.suppress(OSError):
            if self._size > LOG_BYTES:
                self.close()
                self.path.replace(self.path.with_name(self.path.name + ".old"))
                self._size = 0
            if self._stream is None:
                self._open()
            assert self._stream is not None
            self._stream.write(chunk)
            self._size += len(chunk)

    @property
    def tail(self) -> str:
        """The end of the log as text."""
        return self._tail.decode(errors="replace")

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


class Events:
    """Reads the events that cvl_inside appends. The file was made and opened by us: whatever a
    container puts in its place is never followed. hide: takes secrets out of its texts."""

    def __init__(
        self, path: Path, step: str, report: Report, hide: Callable[[str], str] = str
    ) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._stream = os.fdopen(descriptor, "rb")
        self._step = step
        self._report = report
        self._hide = hide
        self._rest = b""
        self._latest: Progress | None = None
        self.metrics: dict[str, float] = {}
        self.warnings: list[str] = []
        self.seen = False

    def poll(self) -> None:
        """Report what has come since the last time: all warnings and metrics, the latest
        progress. At most MAX_POLL bytes; of a flood, the end."""
        behind = os.fstat(self._stream.fileno()).st_size - self._stream.tell()
        if behind > MAX_POLL:
            self._stream.seek(behind - MAX_POLL, os.SEEK_CUR)
            self._rest = b""
        data = self._rest + self._stream.read(MAX_POLL)
        *lines, self._rest = data.split(b"\n")
        if len(self._rest) > MAX_EVENT:
            self._rest = b""
        for line in lines:
            with contextlib.suppress(*NO_EVENT):
                self._handle(json.loads(line[:MAX_EVENT]))
        if self._latest:
            self._report.progress(self._latest)
            self._latest = None

    def _handle(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            self.seen = True
            done, total = _finite(event["done"]), _finite(event["total"])
            unit = printable(self._hide(str(event.get("unit", ""))), 32)
            self._latest = Progress(self._step, "run", done, total, unit)
        elif kind == "metric" and len(self.metrics) < 1000:
            self.metrics[printable(self._hide(str(event["name"])), 64)] = _finite(event["value"])
        elif kind == "warning" and len(self.warnings) < 100:
            text = printable(self._hide(str(event["message"])), 500)
            self.warnings.append(text)
            self._report.warning(f"{self._step}: {text}")

    def close(self) -> None:
        self._stream.close()


def _finite(value: Any) -> float:
    """A number that JSON can say again and a bar can be drawn of."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


@dataclass
class Watched:
    """How following ended."""

    stop_reason: StopReason = ""
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Follower:
    """Waits for a run to end; the only loop in cvl that waits for a container."""

    engine: Engine
    container: str
    run: Run
    events: Events
    cancel: Cancel
    timeout_s: float | None
    grace_s: float
    report: Report
    step: str

    def follow(self) -> Watched:
        """Until the container has ended, whoever ended it."""
        deadline = time.monotonic() + self.timeout_s if self.timeout_s else None
        watched = Watched()
        while not self.run.wait(POLL_S):
            self._poll()
            if self.cancel.requested:
                watched.stop_reason = "cancelled"
            elif deadline is not None and time.monotonic() > deadline:
                watched.stop_reason = "timeout"
            if watched.stop_reason:
                self._stop()
                break
        self._poll()
        if self.cancel.requested:
            watched.stop_reason = "cancelled"
        elif self.run.lost and not watched.stop_reason:
            watched.stop_reason = "engine_lost"
        watched.metrics, watched.warnings = self.events.metrics, self.events.warnings
        return watched

    def _poll(self) -> None:
        first = not self.events.seen
        self.events.poll()
        if first and self.events.seen:
            faultpoint.reach("mid_run")

    def _stop(self) -> None:
        """In order at first; at once when the user asks again or the grace is over. An engine that
        does not answer has got the request, and is not waited for."""
        again = "; Ctrl-C again ends it at once" if self.cancel.requested else ""
        self.report.phase(self.step, "stop", f"stopping{again}")
        self.engine.stop(self.container, self.grace_s)
        end = time.monotonic() + self.grace_s
        while not self.run.wait(POLL_S):
            if self.cancel.forced or time.monotonic() > end or self.run.silent:
                break
        if not self.run.wait(0) and not self.run.silent:
            try:
                self.engine.kill(self.container)
            except EngineError:
                return
            self.run.wait(KILL_WAIT_S)


def read_result(path: Path) -> dict[str, Any]:
    """What cvl_inside wrote at the end, or nothing: a program may have died before it could."""
    from cvl.store.staging import open_regular

    try:
        with open_regular(path) as stream:
            data = json.loads(stream.read(MAX_RESULT))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
