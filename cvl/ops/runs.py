"""Runs as a person looks at them: found by id, prefix or `last`, with what is true of them now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cvl.core import owner as labels
from cvl.core.names import did_you_mean
from cvl.errors import CvlError, UserError
from cvl.ops.reap import is_dead, reap
from cvl.ops.session import Session
from cvl.store.records import INTERRUPTED, RUNNING, RunRecord

LAST = "last"
SHOWN = 1000
Container = Literal["running", "stopped", "none", "unknown"]


@dataclass(frozen=True)
class RunView:
    """A run, with the state that it is really in, and its container if the engine was asked."""

    record: RunRecord
    container: Container


@dataclass(frozen=True)
class Runs:
    """Newest first. `cleaned`: dead runs whose remains were removed while looking; `engine_error`:
    why the engine could not be asked."""

    views: tuple[RunView, ...]
    cleaned: int = 0
    engine_error: str = ""


def view_runs(session: Session, *, everything: bool) -> Runs:
    """Runs that are recorded as running, or all of them; the dead among them are shown as
    interrupted, and cleaned up after when the engine answers."""
    if not session.dirs.database.exists():
        return Runs(())
    records = session.records.runs(state="" if everything else RUNNING, limit=SHOWN)
    open_ = [record for record in records if record.state == RUNNING]
    if not open_:
        return Runs(tuple(RunView(record, "none") for record in records))
    dead = {r.id for r in open_ if is_dead(session, r.owner, r.id)}
    containers, error = _containers(session)
    views = tuple(_view(record, record.id in dead, containers) for record in records)
    if not dead or error:
        return Runs(views, engine_error=error)
    try:
        return Runs(views, cleaned=reap(session).runs)
    except CvlError as failure:
        return Runs(views, engine_error=failure.message)


def _containers(session: Session) -> tuple[dict[str, Container] | None, str]:
    """State of the container or process by run id; None and why when the engine does not say and
    there is none on the host either."""
    mine = {f"{labels.PREFIX}owner.uid": session.owner.uid}
    mine[f"{labels.PREFIX}owner.home"] = session.owner.home
    states: dict[str, Container] = {}
    error = ""
    for view in (session.on_host(), session):
        try:
            for found in view.engine.find(mine):
                run = found.labels.get(labels.RUN, "")
                if found.running or run not in states:
                    states[run] = "running" if found.running else "stopped"
        except CvlError as failure:
            error = failure.message
    return (None if error and not states else states), ("" if states else error)


def _view(record: RunRecord, dead: bool, containers: dict[str, Container] | None) -> RunView:
    if record.state != RUNNING:
        return RunView(record, "none")
    shown = replace(record, state=INTERRUPTED) if dead else record
    if containers is None:
        return RunView(shown, "unknown")
    return RunView(shown, containers.get(record.id, "none"))


def find_run(session: Session, word: str) -> RunRecord:
    """The run that `word` means: an id, the beginning of one, or `last`; UserError otherwise."""
    if not session.dirs.database.exists():
        raise UserError("there are no runs yet", code="unknown_run")
    if word == LAST:
        newest = session.records.runs(limit=1)
        if not newest:
            raise UserError("there are no runs yet", code="unknown_run")
        return newest[0]
    found = session.records.matching(word) if word else []
    exact = [record for record in found if record.id == word]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if found:
        shown = ", ".join(record.id for record in found[:5])
        raise UserError(
            f"{word!r} begins several runs", hint=f"choose from: {shown}", code="ambiguous_run"
        )
    raise UserError(f"there is no run {word!r}", hint=_nearest(session, word), code="unknown_run")


def _nearest(session: Session, word: str) -> str:
    recent = [LAST, *(record.id for record in session.records.runs(limit=SHOWN))]
    hint = did_you_mean(word, recent)
    return hint if hint.startswith("did you mean") else "cvl ps --all shows them"


def running(session: Session) -> Sequence[RunRecord]:
    """Every run that is recorded as running."""
    if not session.dirs.database.exists():
        return ()
    return session.records.runs(state=RUNNING)
