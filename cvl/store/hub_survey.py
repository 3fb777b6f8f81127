"""Everything in the user's hub cache at a glance, without its library: it takes what the library
takes to look at it, or less. Reads only; what goes away meanwhile counts as nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cvl.core.weights import is_leftover
from cvl.store.disk import children

KINDS = {"models--": "model", "datasets--": "dataset", "spaces--": "space"}
SHARED = "blobs"
"""Folder of the cache itself with files that several repos have."""
MOST_FILES = 100_000
"""Looked at per repo: the tree is not ours."""


@dataclass(frozen=True)
class Leftover:
    """What a download has so far, or left when it was killed. name: `REPO FOLDER/blobs/FILE`, or
    `.../refs/FILE`; changed: epoch seconds."""

    name: str
    path: Path
    size: int
    changed: float


@dataclass(frozen=True)
class RepoOnDisk:
    """A repo's folder. path: with links resolved; size: bytes of its own files, `files` many;
    shared: files of the cache's shared store that it links to -> bytes."""

    folder: str
    path: Path
    size: int = 0
    files: int = 0
    shared: dict[str, int] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()

    @property
    def kind(self) -> str:
        return KINDS[self.folder.partition("--")[0] + "--"]

    @property
    def repo(self) -> str:
        return self.folder.partition("--")[2].replace("--", "/", 1)

    @property
    def whole_size(self) -> int:
        """With what it shares with others."""
        return self.size + sum(self.shared.values())

    @property
    def commits(self) -> list[str]:
        return [path.name for path in children(self.path / "snapshots")]

    def refs(self) -> dict[str, str]:
        """Branch, tag or pull request -> commit."""
        found: dict[str, str] = {}
        root = self.path / "refs"
        for path in islice(root.rglob("*"), MOST_FILES):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                name = path.relative_to(root).as_posix()
                if path.is_file() and not is_leftover(f"refs/{name}"):
                    found[name] = path.read_text().strip()
        return found

    def blobs_of(self, commit: str) -> dict[str, int]:
        """What the files of a commit are links to (one step, as the library counts), or they
        themselves -> bytes."""
        found: dict[str, int] = {}
        for path in islice((self.path / "snapshots" / commit).rglob("*"), MOST_FILES):
            with contextlib.suppress(OSError):
                if path.is_symlink():
                    blob = os.path.abspath(path.parent / os.readlink(path))
                    found[blob] = os.stat(blob).st_size
                elif path.is_file():
                    found[str(path)] = path.stat().st_size
        return found


def survey(hub: Path) -> list[RepoOnDisk]:
    """Every repo by the name of its folder, which may be a link to another disk. Two links to one
    folder are one repo."""
    seen: set[str] = set()
    found: list[RepoOnDisk] = []
    for path in children(hub):
        if not path.name.startswith(tuple(KINDS)):
            continue
        real = os.path.realpath(path)
        if os.path.isdir(real) and real not in seen:
            seen.add(real)
            found.append(_repo(path.name, Path(real)))
    return found


def _repo(folder: str, path: Path) -> RepoOnDisk:
    """Links in snapshots lead to blobs, which count once; blobs that are links lead to the shared
    store."""
    size = count = 0
    shared: dict[str, int] = {}
    leftovers: list[Leftover] = []
    for entry in islice(_entries(str(path)), MOST_FILES):
        with contextlib.suppress(OSError):
            if entry.is_symlink():
                if _is_blob(entry.path, path):
                    status = entry.stat()
                    shared[os.path.realpath(entry.path)] = status.st_size
                    count += 1
                continue
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                continue
            size += status.st_size
            if (name := _leftover(entry, path)) is not None:
                found = Leftover(
                    f"{folder}/{name}", Path(entry.path), status.st_size, status.st_mtime
                )
                leftovers.append(found)
            elif "/refs/" not in entry.path and "/trees/" not in entry.path:
                count += 1
    return RepoOnDisk(folder, path, size, count, shared, tuple(sorted(leftovers, key=_by_name)))


def _leftover(entry: os.DirEntry[str], repo: Path) -> str | None:
    """Its path in the repo's folder, when a killed download left it."""
    if not entry.name.endswith((".incomplete", ".tmp")) and not entry.name.startswith("tmp_"):
        return None  # of most files nothing more needs to be worked out
    path = os.path.relpath(entry.path, repo)
    return path if is_leftover(path) else None


def _by_name(leftover: Leftover) -> str:
    return leftover.name


def _is_blob(path: str, repo: Path) -> bool:
    return os.path.dirname(path) == f"{repo}/blobs"


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder but the folders themselves; links are not followed."""
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry
