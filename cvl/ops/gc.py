"""What is no longer needed: found with its size first, removed second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cvl.errors import CvlError, StateError
from cvl.ops import leftovers
from cvl.ops.examples import Catalog
from cvl.ops.garbage import GB, Item, Limits, split
from cvl.ops.reap import reap
from cvl.ops.session import Session
from cvl.ops.superseded import Images, find_images, kernels
from cvl.store.atomic import remove_tree
from cvl.store.locks import FileLock, discard
from cvl.store.result_files import unfinished


@dataclass(frozen=True)
class Plan:
    """What would be removed; `notes` say what was left alone, and why."""

    items: tuple[Item, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


def plan(session: Session, catalog: Catalog, limits: Limits) -> Plan:
    """Look at everything and remove nothing. Without an engine, only what needs none is found:
    remains of a dead run are kept as long as its container may still write to them."""
    items: list[Item] = []
    notes: list[str] = []
    images: list[Images] = []
    with_docker = True
    try:
        items += [*leftovers.dead(session), *leftovers.abandoned_work(session)]
        images.append(find_images(session, catalog))
    except CvlError as error:
        notes.append(f"containers, images and jit caches are left alone: {error.message}")
        items, with_docker = [], False
    images.append(find_images(session.on_host(), catalog))
    items += _superseded(session, limits, images, notes, with_docker=with_docker)
    items += leftovers.unfinished_environments(session)
    items += leftovers.unfinished_results(session)
    items += leftovers.excess_results(session, limits, notes)
    items += leftovers.old_logs(session)
    items += leftovers.idle_locks(session)
    return Plan(tuple(items), tuple(notes))


def _superseded(
    session: Session,
    limits: Limits,
    images: Sequence[Images],
    notes: list[str],
    *,
    with_docker: bool,
) -> list[Item]:
    """Images and environments above the limit, the least recently used first, and the kernels of
    those that are gone: of which nothing is known while docker does not answer."""
    found = [superseded for one in images for superseded in one.superseded]
    notes += [note for one in images for note in one.notes]
    gone, kept = split(found, limits.superseded)
    if kept:
        size = sum(superseded.item.size for superseded in kept) / GB
        notes.append(
            f"{len(kept)} superseded images or environments, {size:.1f} GB;"
            f" up to {limits.superseded_gb:g} GB are kept (--superseded-gb 0 removes them)"
        )
    items = [superseded.item for superseded in gone]
    if with_docker:
        contexts = {context for one in images for context in one.kept}
        items += kernels(session, contexts | {superseded.context for superseded in kept})
    return items


def carry_out(session: Session, planned: Plan) -> Plan:
    """Remove what was planned. What cannot be removed becomes a note, and the rest goes on."""
    notes = list(planned.notes)
    reaped: bool | None = None
    done: list[Item] = []
    for item in planned.items:
        if item.kind in ("container", "run"):
            if reaped is None:
                reaped = _try(lambda: reap(session), item, notes)
            done.append(replace(item, removed=reaped))
        else:
            remove = _removal(session, item)
            done.append(replace(item, removed=_try(remove, item, notes)))
    _forget(session, done)
    return Plan(tuple(done), tuple(notes))


def _removal(session: Session, item: Item) -> Callable[[], object]:
    """How an item goes away."""
    dirs, name = session.dirs, item.name
    removals: dict[str, Callable[[], object]] = {
        "image": lambda: session.engine.remove_image(name),
        "results": lambda: _trim(session, item.size),
        "part": lambda: _remove_unfinished(session),
        "locks": lambda: _discard_locks(session),
        "jit": lambda: remove_tree(dirs.jit / name),
        "log": lambda: remove_tree(dirs.runs / name),
        "work": lambda: _remove_unused(dirs.work / name, leftovers.work_lock(session, name)),
        "environment": lambda: session.on_host().engine.remove_image(name),
    }
    return removals[item.kind]


def _trim(session: Session, planned: int) -> None:
    """What others added in the meantime is theirs: no more goes than was shown."""
    size = sum(status.st_size for status in session.results.blobs().values())
    unused_since = leftovers.results_unused_since(session)
    session.results.trim(max(0, size - planned), unused_since=unused_since)


def _remove_unfinished(session: Session) -> None:
    for path in unfinished(session.dirs.results, leftovers.a_day_ago()):
        path.unlink(missing_ok=True)


def _discard_locks(session: Session) -> None:
    for path in leftovers.lock_files(session):
        discard(path, leftovers.a_day_ago())


def _remove_unused(folder: Path, lock_path: Path) -> None:
    """Remove a folder under the lock of whoever would use it."""
    lock_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(lock_path)
    if not lock.try_acquire():
        raise StateError("it is in use")
    try:
        remove_tree(folder)
        lock_path.unlink(missing_ok=True)
    finally:
        lock.release()


def _try(action: Callable[[], object], item: Item, notes: list[str]) -> bool:
    try:
        action()
    except (CvlError, OSError) as error:
        notes.append(f"{item.kind} {item.name}: {error}")
        return False
    return True


def _forget(session: Session, done: Sequence[Item]) -> None:
    """Records go after their logs: a crash in between leaves a record, which the next gc sees."""
    if any(item.kind == "log" and item.removed for item in done):
        session.records.forget_before(leftovers.long_ago())
