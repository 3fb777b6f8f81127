"""What goes wrong on purpose, per file: which requests it meets, how often, and how it adds up."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

PACE = ("drip", "bandwidth")
ENDS = ("cut", "reset", "short", "stall")
BEFORE = ("delay", "hold")
INSTEAD = ("status", "html", "redirect", "loop")
CONTENT = ("ignore_range", "etag", "wrong")
KINDS = (*ENDS, *PACE, *BEFORE, *INSTEAD, *CONTENT)
STAGES = ("body", "head", "resolve", "api", "elsewhere")


@dataclass
class Fault:
    """One fault.

    `kind`: of KINDS. `repo`, `file`: patterns. `on`: the stage of a download that it meets:
    `head` (any HEAD), `resolve` (the GET at the hub, also one that leads to the other host),
    `body` (the GET whose answer carries the bytes, on whichever host), `api`, `elsewhere` (on the
    host that the fault `redirect` leads to).
    `times`: how many requests, or None for all. `skip`: so many pass before the first.
    `at`: byte of the body where it happens: 0.5 is half of them, -1 the last but one.
    `rate`: bytes per second. `seconds`: a delay. `code`, `retry_after`: of `status`. `to`: a
    listener or a URL that `redirect` leads to. `text`: the ETag that `etag` says.
    """

    kind: str
    repo: str
    file: str
    on: str = "body"
    times: int | None = 1
    skip: int = 0
    at: float = 0.5
    rate: float = 4
    seconds: float = 1
    code: int = 503
    retry_after: float | None = None
    to: str = "elsewhere"
    text: str = ""
    number: int = 0
    count: int = 0
    cleared: bool = False
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")
        if self.on not in STAGES:
            raise ValueError(f"no stage {self.on!r}; there are {', '.join(STAGES)}")

    def meets(self, repo: str, file: str, stages: frozenset[str]) -> bool:
        """Whether a request is one that it is for, regardless of how often it was."""
        if self.cleared or self.on not in stages or self.released.is_set():
            return False
        return fnmatchcase(repo, self.repo) and fnmatchcase(file, self.file)

    def strikes(self) -> bool:
        """Count a request that it is for; whether it happens to this one."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.count >= self.times:
            return False
        self.count += 1
        return True

    def offset(self, length: int) -> int:
        """`at`, as a number of bytes of a body of `length` bytes."""
        if isinstance(self.at, float) and 0 < self.at < 1:
            return int(length * self.at)
        return max(0, min(length, int(self.at) if self.at >= 0 else length + int(self.at)))


@dataclass(frozen=True)
class Plan:
    """The faults that happen to one request."""

    faults: tuple[Fault, ...] = ()

    def first(self, *kinds: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.kind in kinds), None)

    def has(self, kind: str) -> bool:
        return self.first(kind) is not None

    def before(self) -> bool:
        """Wait as long as the faults say before an answer begins; whether any did."""
        waits = [fault for fault in self.faults if fault.kind in BEFORE]
        for fault in waits:
            fault.released.wait(fault.seconds if fault.kind == "delay" else None)
        return bool(waits)

    def pause(self, sent: int) -> None:
        """Wait after `sent` bytes, so that the pace is kept."""
        pace = self.first(*PACE)
        if pace is not None:
            pace.released.wait(sent / pace.rate)

    def piece(self) -> int:
        """How many bytes to write at once: ten times a second where there is a pace."""
        pace = self.first(*PACE)
        return 65536 if pace is None else max(1, min(65536, int(pace.rate / 10)))


class Book:
    """All faults; switched on and off at any time."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._lock = threading.Lock()

    def add(self, **wanted: Any) -> Fault:
        fault = Fault(**wanted)
        with self._lock:
            fault.number = len(self._faults) + 1
            self._faults[fault.number] = fault
        return fault

    def take(self, repo: str, file: str, stages: frozenset[str]) -> Plan:
        """The faults that happen to a request; each is counted."""
        with self._lock:
            meant = [f for f in self._faults.values() if f.meets(repo, file, stages)]
            return Plan(tuple(fault for fault in meant if fault.strikes()))

    def find(self, number: int | None = None) -> list[Fault]:
        """One fault, or all."""
        with self._lock:
            return list(self._faults.values()) if number is None else [self._faults[number]]

    def release(self, number: int | None = None) -> None:
        """Let go what waits: requests that are held, stalled or slowed. It is over then."""
        for fault in self.find(number):
            if number is not None or fault.kind in ("hold", "stall", *PACE, "delay"):
                fault.released.set()

    def clear(self, number: int | None = None) -> None:
        """No request meets it any more; those that it happens to go on as they were."""
        for fault in self.find(number):
            fault.cleared = True
