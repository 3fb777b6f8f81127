"""Where the space went: what cvl keeps, by kind and by example, and the weights that its examples
use. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cvl.core import owner as labels
from cvl.errors import CvlError
from cvl.ops.examples import Catalog
from cvl.ops.leftovers import MOST_RUNS
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.using import uses_of
from cvl.store import hub_cache
from cvl.store.disk import children, tree_size
from cvl.store.hub_survey import RepoOnDisk, survey
from cvl.store.result_files import shares, together
from cvl.store.url_weights import UrlWeights

Kind = Literal[
    "images", "build cache", "results", "environments", "weights", "jit caches", "runs", "work"
]


@dataclass(frozen=True)
class Usage:
    """`size` in bytes of `count` things of a kind. `example`: whose they are; several are named
    together, `a, b`, and it is empty for what belongs to none that is known."""

    kind: Kind
    example: str
    count: int
    size: int


@dataclass(frozen=True)
class DiskUsage:
    """All that was found; `notes` say what could not be looked at."""

    rows: tuple[Usage, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(row.size for row in self.rows)


def disk_usage(session: Session, catalog: Catalog) -> DiskUsage:
    """Images and the build cache as the engine counts them (images share layers, so their sum is
    more than they take), the rest as files on disk."""
    rows: list[Usage] = []
    notes: list[str] = []
    try:
        rows += _images(session)
        rows.append(Usage("build cache", "", 1, session.engine.build_cache_size()))
    except CvlError as error:
        notes.append(f"images and build cache are not counted: {error.message}")
    rows += _results(session)
    rows += _images(session.on_host())
    rows += _weights(session, catalog)
    rows += _jit(session)
    rows += _runs(session)
    work = session.dirs.work
    rows.append(Usage("work", "", len(children(work)), tree_size(work)))
    return DiskUsage(tuple(rows), tuple(notes))


def _sum(kind: Kind, sizes: Iterable[tuple[str, int]]) -> list[Usage]:
    """A row per example, of (example, bytes) of each thing; what is nobody's comes last."""
    found: dict[str, list[int]] = {}
    for example, size in sizes:
        found.setdefault(example, []).append(size)
    names = sorted(found, key=lambda name: (not name, name))
    return [Usage(kind, name, len(found[name]), sum(found[name])) for name in names]


def _images(session: Session) -> list[Usage]:
    kind: Kind = "environments" if session.is_host else "images"
    found = session.engine.images({labels.EXAMPLE: "", labels.CONTEXT: ""})
    return _sum(kind, ((image.labels[labels.EXAMPLE], image.size) for image in found))


def _results(session: Session) -> Iterator[Usage]:
    found = shares(session.dirs.results)
    for name in sorted(found, key=lambda name: (not name, name)):
        if found[name].size:
            yield Usage("results", name, found[name].blobs, found[name].size)


def _weights(session: Session, catalog: Catalog) -> list[Usage]:
    """Repos in the hub cache of the user and files from URLs, by the examples within reach that use
    them; those of other programs are nobody's. What repos share is of all their examples."""
    repos: dict[str, set[str]] = {}
    urls: dict[str, set[str]] = {}
    for used in uses_of(catalog).weights:
        if isinstance(used.need, RepoNeed):
            repos.setdefault(hub_cache.folder_of(used.need.repo), set()).update(used.examples)
        else:
            urls.setdefault(used.need.sha256, set()).update(used.examples)
    found = survey(hub_cache.hub_folder())
    sizes = [(together(repos.get(repo.folder, ())), repo.size) for repo in found]
    for users, size in _shared(found, repos).values():
        sizes.append((together(users), size))
    here = UrlWeights(session.dirs.url_weights).all()
    sizes += [(together(urls.get(sha256, ())), size) for sha256, size in here.items()]
    return _sum("weights", sizes)


def _shared(found: list[RepoOnDisk], users: dict[str, set[str]]) -> dict[str, tuple[set[str], int]]:
    """File of the shared store -> the examples whose repos link to it (an empty name for a repo of
    none), and bytes."""
    shared: dict[str, tuple[set[str], int]] = {}
    for repo in found:
        for path, size in repo.shared.items():
            known = shared.setdefault(path, (set(), size))[0]
            known.update(users.get(repo.folder, ("",)))
    return shared


def _jit(session: Session) -> list[Usage]:
    """Compiled kernels; a folder is called `<example>-<context>-<architecture>`."""
    folders = [path for path in children(session.dirs.jit) if path.name.count("-") >= 2]
    return _sum("jit caches", ((path.name.rsplit("-", 2)[0], tree_size(path)) for path in folders))


def _runs(session: Session) -> list[Usage]:
    """Logs, by the example that was run; a folder without a record is nobody's."""
    examples: dict[str, str] = {}
    if session.dirs.database.exists():
        examples = {run.id: run.example for run in session.records.runs(limit=MOST_RUNS)}
    folders = children(session.dirs.runs)
    return _sum("runs", ((examples.get(path.name, ""), tree_size(path)) for path in folders))
