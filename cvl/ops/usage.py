"""Where the space went: what cvl keeps, by kind and by example. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cvl.core import owner as labels
from cvl.errors import CvlError
from cvl.ops.gc import tree_size
from cvl.ops.session import Session

Kind = Literal["images", "environments", "build cache", "results", "jit caches", "runs", "work"]


@dataclass(frozen=True)
class Usage:
    """`size` in bytes of `count` things of a kind; `example` is empty for what all of them
    share."""

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


def disk_usage(session: Session) -> DiskUsage:
    """Images and the build cache as the engine counts them (images share layers, so their sum is
    more than they take), the rest as files on disk."""
    rows: list[Usage] = []
    notes: list[str] = []
    try:
        rows += _images(session)
        rows.append(Usage("build cache", "", 1, session.engine.build_cache_size()))
    except CvlError as error:
        notes.append(f"images and build cache are not counted: {error.message}")
    rows += _images(session.on_host())
    rows += _jit(session.dirs.jit)
    dirs = session.dirs
    for kind, folder in (("results", dirs.results), ("runs", dirs.runs), ("work", dirs.work)):
        rows.append(_folder(kind, folder))  # type: ignore[arg-type]
    return DiskUsage(tuple(rows), tuple(notes))


def _images(session: Session) -> list[Usage]:
    found: dict[str, list[int]] = {}
    for image in session.engine.images({labels.EXAMPLE: "", labels.CONTEXT: ""}):
        found.setdefault(image.labels[labels.EXAMPLE], []).append(image.size)
    kind: Kind = "environments" if session.is_host else "images"
    return [Usage(kind, name, len(sizes), sum(sizes)) for name, sizes in sorted(found.items())]


def _jit(folder: Path) -> list[Usage]:
    """Compiled kernels; a folder is called `<example>-<context>-<architecture>`."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*-*-*")):
        found.setdefault(path.name.rsplit("-", 2)[0], []).append(tree_size(path))
    return [Usage("jit caches", name, len(sizes), sum(sizes)) for name, sizes in found.items()]


def _folder(kind: Kind, folder: Path) -> Usage:
    pattern = "sha256/*/*" if kind == "results" else "*"
    count = sum(1 for _ in folder.glob(pattern))
    return Usage(kind, "", count, tree_size(folder))
