"""Whether the engine answers, and how long whoever waits for it goes on waiting.

An engine that is slow under load, or that restarts, is not lost at once: what waits is told, goes
on waiting, and gives up in the end. All calls to an engine share what is known of it, so that only
the first one waits it out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

TURN_S = 0.2
QUIET_S = 2.0
"""Longer without an answer is more than a slow call: who wants out need not wait for it."""
TOLD_S = 4.0
LAST_TRY_S = 1.0
BEAT_S = (1.0, 3.0)
"""Until an engine is asked for the first time while a container runs, and from then on."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True)
class Caller:
    """Who waits for an engine. check: raises when they want out; tell: takes a line for them;
    patience_s: for an engine that has answered before, 0 for no more than the time of a call."""

    check: Callable[[], None] = lambda: None
    tell: Callable[[str], None] = lambda text: None
    patience_s: float = 0.0


class Pulse:
    """What is known of one engine. known: it has answered once; breaks: how often it was seen to go
    away."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.known = False
        self.breaks = 0
        self._last = 0.0
        self._since: float | None = None
        self._told = False
        self._lock = threading.Lock()

    @property
    def silent(self) -> bool:
        """Has it not answered for longer than a call takes?"""
        since = self._since
        return since is not None and time.monotonic() - since > QUIET_S

    def heard(self) -> None:
        """It answered."""
        with self._lock:
            told, self._told = self._told, False
            self.known, self._since, self._last = True, None, time.monotonic()
        if told:
            self.caller.tell("the Docker engine answers again")

    def broke(self) -> None:
        """Nobody was at the other end, or they hung up."""
        self.breaks += 1

    def unheard(self, began: float) -> float:
        """A call that began then has no answer yet: for how many seconds nothing was heard."""
        with self._lock:
            start = max(began, self._last)
            self._since = start if self._since is None else min(self._since, start)
            silent = time.monotonic() - self._since
            tell = self._waits and silent > TOLD_S and not self._told
            self._told = self._told or tell
        if tell:
            left = self.caller.patience_s - silent
            self.caller.tell(f"the Docker engine does not answer; waiting up to {left:.0f} s more")
        return silent

    def begin(self, timeout_s: float) -> Wait:
        """The wait of a call that begins now, and may take so long on an engine that is well."""
        now, cleaning = time.monotonic(), self._unwanted()
        allowed = self.caller.patience_s if self._waits else timeout_s
        since = self._since
        if cleaning:
            allowed = LAST_TRY_S if self.silent else timeout_s
        elif since is not None:
            allowed = max(since + allowed - now, LAST_TRY_S)
        return Wait(self, now, now + allowed, cleaning)

    @property
    def _waits(self) -> bool:
        return self.known and self.caller.patience_s > 0

    def _unwanted(self) -> bool:
        try:
            self.caller.check()
        except Exception:
            return True
        return False


@dataclass(frozen=True)
class Wait:
    """The wait of one call. cleaning: it began when the caller wanted out already."""

    pulse: Pulse
    began: float
    ends: float
    cleaning: bool

    @property
    def left(self) -> float:
        """Seconds; never none, which would mean not to wait for anything."""
        return max(self.ends - time.monotonic(), TURN_S)

    def turn(self) -> None:
        """Nothing has come for a while. Raises TimeoutError when that is enough, and what the
        caller raises who wants out."""
        silent = self.pulse.unheard(self.began)
        if silent > QUIET_S and not self.cleaning:
            self.pulse.caller.check()
        if time.monotonic() > self.ends:
            raise TimeoutError("no answer")

    def again(self) -> bool:
        """Nobody is there. Waits a little, longer each time; False when the next try is not worth
        it."""
        self.pulse.broke()
        silent = self.pulse.unheard(self.began)
        if self.cleaning or not self.pulse._waits or time.monotonic() > self.ends:
            return False
        pause = min(max(silent / 4, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        end = min(time.monotonic() + pause, self.ends)
        while (left := end - time.monotonic()) > 0:
            self.pulse.caller.check()
            time.sleep(min(left, TURN_S))
        return True


class Asked(Protocol):
    """What a heartbeat asks."""

    def ping(self) -> int:
        """How often it has gone away so far. Raises when there is no answer, and none to be
        expected."""


class Heartbeat:
    """Asks an engine every few seconds, in a thread: one that is frozen keeps every connection open
    and would never be missed. heard: what it answered so far."""

    def __init__(self, engine: Asked, on_lost: Callable[[], None] = lambda: None) -> None:
        self._engine, self._on_lost = engine, on_lost
        self._over = threading.Event()
        self.lost = False
        self.heard: set[int] = set()
        threading.Thread(target=self._beat, daemon=True, name="cvl-heartbeat").start()

    def end(self) -> None:
        self._over.set()

    def _beat(self) -> None:
        first, then = BEAT_S
        while not self._over.wait(then if self.heard else first):
            try:
                self.heard.add(self._engine.ping())
            except Exception:
                if not self._over.is_set():
                    self.lost = True
                    self._on_lost()
                return
