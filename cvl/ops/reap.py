"""Remove what dead runs left: containers, staging folders, work folders, records that say running.

Only what is surely ours and surely dead: every owner label matches but pid and start, the
process is
gone, and the lock file of its run is free. Other users', other namespaces' and other CVL_HOMEs'
things are not even looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from cvl.core import owner as labels
from cvl.core.container import FoundContainer
from cvl.core.owner import Owner
from cvl.errors import CvlError
from cvl.machine.process import is_alive
from cvl.ops.scratch import reap_scratch
from cvl.ops.session import Session
from cvl.store.atomic import remove_tree
from cvl.store.locks import is_free
from cvl.store.records import INTERRUPTED, RunRecord
from cvl.store.targets import STAGING, remove_staging


@dataclass(frozen=True)
class Reaped:
    """How much was removed."""

    containers: int
    runs: int


def reap(session: Session) -> Reaped:
    """Clean up after every dead run of this CVL_HOME. Containers first: one may still write into
    the folders that go next. Raises EngineError when docker has to be asked and does not answer;
    what was not in its containers is cleaned up all the same."""
    asks = _asks_docker(session)
    problem = session.engine_problem if asks else None
    containers = _reap_containers(session.on_host())
    if asks and problem is None:
        containers += _reap_containers(session)
    runs, kept = _reap_runs(session, keep_containers=problem is not None)
    reap_scratch(session)
    if problem is not None and kept:
        raise problem
    return Reaped(containers, runs)


def _asks_docker(session: Session) -> bool:
    """With `--engine venv`, only when a dead run may have left a container."""
    if session.wanted_engine != "venv":
        return True
    return any(_had_containers(session, record) for record in dead_runs(session))


def _had_containers(session: Session, record: RunRecord) -> bool:
    """Every container has a passwd file in its work folder, made before it."""
    return any(
        path.parent == session.dirs.work and any(path.glob("*/passwd"))
        for path in session.records.scratch(record.id)
    )


def is_dead(session: Session, owner: Owner, run: str) -> bool:
    """May be judged from here, has no process, and nobody holds its run's lock."""
    if not session.owner.may_judge(owner) or is_alive(owner):
        return False
    return is_free(session.lock_path("run", run))


def dead_containers(session: Session) -> Iterator[FoundContainer]:
    """Containers of this CVL_HOME that a dead run left."""
    mine = {f"{labels.PREFIX}owner.uid": session.owner.uid}
    mine[f"{labels.PREFIX}owner.home"] = session.owner.home
    for found in session.engine.find(mine):
        owner = Owner.from_labels(found.labels)
        run = found.labels.get(labels.RUN, "")
        if owner is None or not run:
            continue
        if is_dead(session, owner, run) or (
            not found.running and _of_an_earlier_boot(session, owner, run)
        ):
            yield found


def _reap_containers(session: Session) -> int:
    """With the work folder that a container may have kept in use when its run ended."""
    removed = 0
    for found in dead_containers(session):
        session.engine.remove(found.id)
        removed += 1
        for folder in session.dirs.work.glob("*"):
            if folder.name == found.labels[labels.RUN]:
                with contextlib.suppress(OSError):
                    remove_tree(folder)
    return removed


def _of_an_earlier_boot(session: Session, owner: Owner, run: str) -> bool:
    """Its owner cannot have outlived a reboot; only containers that do not run are judged so, since
    a shared CVL_HOME may be in use by another host with a boot of its own."""
    same = (owner.uid, owner.home) == (session.owner.uid, session.owner.home)
    return same and owner.boot != session.owner.boot and is_free(session.lock_path("run", run))


def dead_runs(session: Session) -> Iterator[RunRecord]:
    """Records that say running although nobody runs them."""
    for record in session.records.runs(state="running"):
        dead = is_dead(session, record.owner, record.id)
        if dead or _of_an_earlier_boot(session, record.owner, record.id):
            yield record


def _reap_runs(session: Session, *, keep_containers: bool) -> tuple[int, int]:
    """How many were cleaned up, and how many were not because a container may still write to their
    folders."""
    reaped = kept = 0
    for record in dead_runs(session):
        if keep_containers and _had_containers(session, record):
            kept += 1
            continue
        for path in session.records.scratch(record.id):
            if path.name.startswith(STAGING):
                remove_staging(path)
            elif path.parent == session.dirs.work:
                with contextlib.suppress(OSError):
                    remove_tree(path)
        session.records.end(record.id, INTERRUPTED, 1, "interrupted", "its process died", {})
        session.lock_path("run", record.id).unlink(missing_ok=True)
        reaped += 1
    return reaped, kept


def fence(session: Session, key: str) -> None:
    """Under the step-key lock: remove ghosts of this very step, so that no retry runs beside
    one; and whatever this process itself left behind when its engine went away."""
    _lay_own_ghosts(session)
    for found in session.engine.find({labels.KEY: key}):
        owner = Owner.from_labels(found.labels)
        run = found.labels.get(labels.RUN, "")
        if owner is not None and run and is_dead(session, owner, run):
            session.engine.remove(found.id)


def _lay_own_ghosts(session: Session) -> None:
    """A step in another engine does not wait for the one that is away."""
    for ghost in list(session.ghosts):
        try:
            ghost.engine.remove(ghost.container)
        except CvlError:
            if ghost.engine is session.engine:
                raise
        else:
            with contextlib.suppress(ValueError):  # another step was faster
                session.ghosts.remove(ghost)


def reap_quietly(session: Session) -> None:
    """Reap at the start of a run: what cannot be cleaned now must not stop the work."""
    try:
        reap(session)
    except CvlError as error:
        session.report.warning(f"could not clean up after an earlier run: {error.message}")
