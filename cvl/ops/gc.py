"""What is no longer needed: found with its size first, removed second."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cvl.core import owner as labels
from cvl.core.container import FoundImage
from cvl.core.manifest import ModelManifest
from cvl.errors import CvlError
from cvl.ops.build import context_of, tag_of
from cvl.ops.examples import Catalog
from cvl.ops.reap import dead_containers, dead_runs, reap
from cvl.ops.session import Session
from cvl.store.atomic import remove_tree
from cvl.store.records import RUNNING

GB = 10**9
KEEP_DAYS = 30
DAY_S = 86400
MOST_RUNS = 1_000_000
Kind = Literal["container", "run", "results", "image", "env", "log", "jit"]


@dataclass(frozen=True)
class Item:
    """Something to remove. `size` in bytes; that of an image counts layers that it may share."""

    kind: Kind
    name: str
    size: int
    why: str
    removed: bool = False


@dataclass(frozen=True)
class Plan:
    """What would be removed; `notes` say what was left alone, and why."""

    items: tuple[Item, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


@dataclass(frozen=True)
class Current:
    """Contexts that examples within reach have now, the names of those examples, and those whose
    context cannot be read."""

    contexts: frozenset[str]
    names: frozenset[str]
    broken: frozenset[str]


def plan(session: Session, catalog: Catalog, results_gb: float) -> Plan:
    """Look at everything and remove nothing. Without an engine, only what needs none is found:
    remains of a dead run are kept as long as its container may still write to them."""
    items: list[Item] = []
    notes: list[str] = []
    kept: set[str] = set()
    try:
        items += _dead(session)
        items += _images(session, catalog, notes, kept)
    except CvlError as error:
        notes.append(f"containers, images and jit caches are left alone: {error.message}")
        items = []
    items += _images(session.on_host(), catalog, notes, kept)
    items += _unfinished(session)
    if session.engine_problem is None:
        items += _jit(session, kept)
    items += _results(session, results_gb)
    items += _logs(session)
    return Plan(tuple(items), tuple(notes))


def _dead(session: Session) -> Iterator[Item]:
    if not session.dirs.database.exists():
        return
    for container in dead_containers(session):
        run = container.labels.get(labels.RUN, "")
        yield Item("container", container.id[:12], 0, f"left by run {run}, which died")
    for record in dead_runs(session):
        size = sum(tree_size(path) for path in session.records.scratch(record.id))
        yield Item("run", record.id, size, "its process died")


def _images(session: Session, catalog: Catalog, notes: list[str], kept: set[str]) -> list[Item]:
    """Images, or environments, of examples that have changed; the contexts of the others go to
    `kept`."""
    kind: Kind = "env" if session.is_host else "image"
    images = session.engine.images({labels.EXAMPLE: "", labels.CONTEXT: ""})
    if session.is_host and not images:
        return []
    current = current_contexts(session, catalog)
    items: list[Item] = []
    kept |= current.contexts
    foreign: set[str] = set()
    for image in images:
        example, context = image.labels[labels.EXAMPLE], image.labels[labels.CONTEXT]
        name = _own_name(session, image)
        if name is None or context in current.contexts or example in current.broken:
            kept.add(context)
        elif example not in current.names:
            foreign.add(example)
            kept.add(context)
        else:
            items.append(Item(kind, name, image.size, f"{example} has changed since"))
    if foreign:
        notes.append(f"{kind}s of examples that are not within reach: {', '.join(sorted(foreign))}")
    if current.broken and images:
        notes.append(f"{kind}s of broken examples: {', '.join(sorted(current.broken))}")
    return items


def _own_name(session: Session, image: FoundImage) -> str | None:
    """How to remove an image that cvl built: its one tag of ours, or its id when it has no tag and
    we remember building it. Labels are inherited by whatever is built upon an image of ours, so
    they alone do not make an image ours."""
    context = image.labels[labels.CONTEXT]
    tag = tag_of(image.labels[labels.EXAMPLE], context)
    if tag in image.tags:
        return tag
    if image.tags or not session.dirs.database.exists():
        return None
    return image.id if image.id in session.records.images_of(context) else None


def current_contexts(session: Session, catalog: Catalog) -> Current:
    """What a build of every example within reach would be called now."""
    contexts: set[str] = set()
    broken: set[str] = set()
    for example in catalog.examples.values():
        try:
            manifest = example.manifest
            if isinstance(manifest, ModelManifest) and _may_use(session, manifest):
                contexts.add(context_of(session, manifest, example.folder).digest)
        except (CvlError, OSError):
            broken.add(example.name)
    return Current(frozenset(contexts), frozenset(catalog.examples), frozenset(broken))


def _unfinished(session: Session) -> Iterator[Item]:
    """Environments that nobody has finished for a day: their maker was killed."""
    for path in _children(session.dirs.envs):
        with contextlib.suppress(OSError):
            old = path.lstat().st_mtime < time.time() - DAY_S
            if old and path.is_dir() and not (path / "env.json").exists():
                yield Item("env", path.name, tree_size(path), "its making was interrupted")


def _may_use(session: Session, manifest: ModelManifest) -> bool:
    return ("venv" if session.is_host else "docker") in manifest.engines


def _jit(session: Session, kept: set[str]) -> Iterator[Item]:
    """Folders are called EXAMPLE-CONTEXT-ARCH; anything else in there is not ours."""
    begins = {context[:20] for context in kept}
    for path in _children(session.dirs.jit):
        parts = path.name.rsplit("-", 2)
        if len(parts) == 3 and len(parts[1]) == 20 and parts[1] not in begins:
            yield Item("jit", path.name, tree_size(path), "its image is gone")


def _results(session: Session, results_gb: float) -> Iterator[Item]:
    if not session.dirs.results.is_dir():
        return
    freed = session.results.trim(int(results_gb * GB), dry_run=True)
    if freed:
        yield Item("results", "least recently used", freed, f"more than {results_gb:g} GB are kept")


def _logs(session: Session) -> Iterator[Item]:
    """Runs that ended long ago, and folders of runs that nobody has a record of."""
    before = time.time() - KEEP_DAYS * DAY_S
    known: set[str] = set()
    if session.dirs.database.exists():
        for record in session.records.runs(limit=MOST_RUNS):
            known.add(record.id)
            if record.state != RUNNING and record.ended is not None and record.ended < before:
                size = tree_size(session.dirs.runs / record.id)
                yield Item("log", record.id, size, f"ended more than {KEEP_DAYS} days ago")
    for path in _children(session.dirs.runs):
        with contextlib.suppress(OSError):
            if path.name not in known and path.lstat().st_mtime < before:
                yield Item("log", path.name, tree_size(path), "of a run without a record")


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
            done.append(replace(item, removed=_remove(session, item, notes)))
    _forget(session, done)
    return Plan(tuple(done), tuple(notes))


def _remove(session: Session, item: Item, notes: list[str]) -> bool:
    if item.kind in ("image", "env"):
        view = session.on_host() if item.kind == "env" else session
        return _try(lambda: view.engine.remove_image(item.name), item, notes)
    if item.kind == "results":
        # What others added in the meantime is theirs: no more goes than was shown.
        size = sum(tree_size(path) for path in _children(session.dirs.results / "sha256"))
        return _try(lambda: session.results.trim(max(0, size - item.size)), item, notes)
    folder = session.dirs.jit if item.kind == "jit" else session.dirs.runs
    return _try(lambda: remove_tree(folder / item.name), item, notes)


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
        session.records.forget_before(time.time() - KEEP_DAYS * DAY_S)


def _children(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def tree_size(path: Path) -> int:
    """Bytes of the regular files at or below `path`; links are not followed."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size if stat.S_ISREG(status.st_mode) else 0
        with os.scandir(path) as entries:
            return sum(tree_size(Path(entry.path)) for entry in entries)
    return 0
