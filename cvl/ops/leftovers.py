"""What runs left behind: containers and folders of dead ones, temporary files, old logs, lock files
that nobody uses, results above the limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cvl.core import owner as labels
from cvl.engine.environment import MARKER
from cvl.ops.garbage import DAY_S, Item, Limits
from cvl.ops.reap import dead_containers, dead_runs
from cvl.ops.scratch import KINDS
from cvl.ops.session import Session
from cvl.store.disk import children, touched, tree_size
from cvl.store.locks import is_free, is_idle
from cvl.store.records import RUNNING
from cvl.store.result_files import unfinished
from cvl.store.results import GRACE_S

KEEP_DAYS = 30
MOST_RUNS = 1_000_000


def a_day_ago() -> float:
    return time.time() - DAY_S


def long_ago() -> float:
    """Runs that ended before this are forgotten."""
    return time.time() - KEEP_DAYS * DAY_S


def dead(session: Session) -> Iterator[Item]:
    """What `reap` would remove, but for folders that only a lock tells to be dead."""
    if not session.dirs.database.exists():
        return
    for container in dead_containers(session):
        run = container.labels.get(labels.RUN, "")
        yield Item("container", container.id[:12], 0, f"left by run {run}, which died")
    for record in dead_runs(session):
        size = sum(tree_size(path) for path in session.records.scratch(record.id))
        yield Item("run", record.id, size, "its process died")


def abandoned_work(session: Session) -> Iterator[Item]:
    """Work folders without a running owner that no record leads to any more. One that a container
    may still write to stays until `reap` has judged the container."""
    running: set[str] = set()
    if session.dirs.database.exists():
        running = {run.id for run in session.records.runs(state=RUNNING, limit=MOST_RUNS)}
    for path in children(session.dirs.work):
        if touched(path) >= a_day_ago() or path.name in running:
            continue
        used = session.engine.find({labels.RUN: path.name})
        if not used and is_free(work_lock(session, path.name)):
            yield Item("work", path.name, tree_size(path), "nobody works in it")


def unfinished_environments(session: Session) -> Iterator[Item]:
    """Environments that nobody has finished for a day: whoever made them was killed."""
    for path in children(session.dirs.envs):
        if path.is_dir() and touched(path) < a_day_ago() and not (path / MARKER).exists():
            yield Item("environment", path.name, tree_size(path), "its making was interrupted")


def work_lock(session: Session, name: str) -> Path:
    """The lock of whoever works in the folder `work`/`name`: a run, or a holder of scratch."""
    kind, _, rest = name.partition("-")
    kind, rest = (kind, rest) if kind in KINDS else ("run", name)
    return session.dirs.locks / kind / f"{rest}.lock"


def unfinished_results(session: Session) -> Iterator[Item]:
    found = unfinished(session.dirs.results, a_day_ago())
    if found:
        size = sum(tree_size(path) for path in found)
        yield Item("part", "unfinished results", size, f"{_files(len(found))} left by a crash")


def excess_results(session: Session, limits: Limits, notes: list[str]) -> Iterator[Item]:
    """The least recently used; never what a run that goes on may still need."""
    results = session.results
    size = sum(status.st_size for status in results.blobs().values())
    freed = results.trim(limits.results, unused_since=results_unused_since(session), dry_run=True)
    if freed:
        why = f"more than {limits.results_gb:g} GB are kept"
        yield Item("results", "least recently used", freed, why)
    if size - freed > limits.results:
        notes.append("results that were used just now, or that a run may still need")


def results_unused_since(session: Session) -> float:
    """A run takes its results, found or made, at any time until it ends: nothing that was used
    since the oldest running one began may go, nor what one may have found that is just beginning.
    """
    begun = [time.time()]
    if session.dirs.database.exists():
        for run in session.records.runs(state=RUNNING, limit=MOST_RUNS):
            if not is_free(session.dirs.locks / "run" / f"{run.id}.lock"):
                begun.append(run.started)
    return min(begun) - GRACE_S


def old_logs(session: Session) -> Iterator[Item]:
    """Runs that ended long ago, and folders of runs that nobody has a record of."""
    before = long_ago()
    known: set[str] = set()
    if session.dirs.database.exists():
        for record in session.records.runs(limit=MOST_RUNS):
            known.add(record.id)
            if record.state != RUNNING and record.ended is not None and record.ended < before:
                size = tree_size(session.dirs.runs / record.id)
                yield Item("log", record.id, size, f"ended more than {KEEP_DAYS} days ago")
    for path in children(session.dirs.runs):
        if path.name not in known and touched(path) < before:
            yield Item("log", path.name, tree_size(path), "of a run without a record")


def idle_locks(session: Session) -> Iterator[Item]:
    count = sum(1 for path in lock_files(session) if is_idle(path, a_day_ago()))
    if count:
        yield Item("locks", "idle locks", 0, f"{_files(count)} that nobody used for a day")


def lock_files(session: Session) -> list[Path]:
    """Every lock file of ours: empty, and called so."""
    paths = [path for folder in children(session.dirs.locks) for path in children(folder)]
    return [path for path in paths if path.suffix == ".lock" and path.is_file() and _empty(path)]


def _empty(path: Path) -> bool:
    return tree_size(path) == 0


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
