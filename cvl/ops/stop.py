"""Stop runs by asking the process that owns them; nothing else is ever signalled."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cvl.errors import CvlError, EngineError, TimeoutFault
from cvl.machine.process import is_alive
from cvl.machine.signals import signal_owner
from cvl.ops.reap import reap
from cvl.ops.session import Session
from cvl.store.records import RUNNING, RunRecord

POLL_S = 0.1
SECOND_SIGNAL_S = 0.5
Outcome = Literal["stopped", "cleaned", "ended", "still_running", "not_ours"]


@dataclass(frozen=True)
class Stopped:
    """stopped: it ended on our signal. cleaned: its process had died. ended: it had ended before.
    still_running: the time was over. not_ours: its process cannot be judged from here."""

    run: str
    outcome: Outcome
    state: str


def stop_runs(
    session: Session, records: Sequence[RunRecord], timeout_s: float, *, now: bool
) -> list[Stopped]:
    """Ask all of them to stop, then wait for all of them together."""
    outcomes = {record.id: _ask(session, record) for record in records}
    waiting = {r.id: r for r in records if outcomes[r.id] == "stopped"}
    began = time.monotonic()
    asked_again = not now
    while waiting and time.monotonic() - began < timeout_s:
        time.sleep(POLL_S)
        if not asked_again and time.monotonic() - began > SECOND_SIGNAL_S:
            asked_again = True
            for record in waiting.values():
                signal_owner(record.owner, signal.SIGTERM)
        waiting = {run: r for run, r in waiting.items() if _goes_on(session, r, outcomes)}
    for run in waiting:
        outcomes[run] = "still_running"
    if "cleaned" in outcomes.values():
        reap(session)
    return [Stopped(r.id, outcomes[r.id], _state(session, r.id)) for r in records]


def _ask(session: Session, record: RunRecord) -> Outcome:
    if record.state != RUNNING:
        return "ended"
    if not session.owner.may_judge(record.owner):
        return "not_ours"
    return "stopped" if signal_owner(record.owner, signal.SIGTERM) else "cleaned"


def _goes_on(session: Session, record: RunRecord, outcomes: dict[str, Outcome]) -> bool:
    """Is it still running? One that died without a word is cleaned up after. Asked in this order,
    because a run that ends writes its record before its process is gone."""
    alive = is_alive(record.owner)
    if _state(session, record.id) != RUNNING:
        return False
    if not alive:
        outcomes[record.id] = "cleaned"
    return alive


def _state(session: Session, run: str) -> str:
    found = session.records.matching(run, limit=1)
    return found[0].state if found else ""


def failure_of(stopped: Sequence[Stopped], timeout_s: float) -> CvlError | None:
    """The error that a stop ends with, or None when nothing runs any more."""
    for item in stopped:
        if item.outcome == "not_ours":
            return EngineError(
                f"{item.run} belongs to another machine, container or boot",
                hint="stop it where it was started",
                code="not_ours",
            )
        if item.outcome == "still_running":
            return TimeoutFault(
                f"{item.run} still runs after {timeout_s:g} s", hint=f"cvl stop --now {item.run}"
            )
    return None
