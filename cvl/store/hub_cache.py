"""The Hugging Face hub cache, read in the layout of huggingface_hub without loading it. It belongs
to all programs of the user: looked at here, never changed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cvl.core.weights import COMMIT, Listing, RepoFile

MOST_FILES = 100_000
"""Looked at per repo: the tree is not ours."""
MOST_BYTES = 64 << 20


def hub_folder() -> Path:
    """Where huggingface_hub keeps what it downloads, by the rules of its own."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return _expanded(os.environ[variable])
    home = os.environ.get("HF_HOME")
    if home:
        return _expanded(home) / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return _expanded(cache) / "huggingface" / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))


def folder_of(repo: str) -> str:
    """Name of the folder of a model repo, ORG/NAME."""
    return f"models--{repo.replace('/', '--')}"


@dataclass(frozen=True)
class Presence:
    """What of the wanted files of a commit is in the cache: path in the repo -> file on disk
    (links resolved), and what is missing or has another size."""

    present: dict[str, Path]
    missing: dict[str, RepoFile]

    @property
    def complete(self) -> bool:
        return not self.missing


@dataclass(frozen=True)
class CachedRepo:
    """One repo's folder in the cache; the folder may be a link to another disk."""

    hub: Path
    repo: str

    @property
    def folder(self) -> Path:
        return Path(os.path.realpath(self.hub / folder_of(self.repo)))

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def commit_of(self, revision: str) -> str:
        """The commit that a branch or tag was when it was last downloaded; empty when it never
        was. A commit is itself."""
        if COMMIT.fullmatch(revision):
            return revision
        with contextlib.suppress(OSError, ValueError):
            text = (self.folder / "refs" / revision).read_text().strip()
            return text if COMMIT.fullmatch(text) else ""
        return ""

    def listing(self, commit: str) -> Listing | None:
        """What the hub said a commit has, as huggingface_hub noted it; None when it did not."""
        try:
            with (self.folder / "trees" / f"{commit}.json").open("rb") as stream:
                document = json.loads(stream.read(MOST_BYTES))
            files = {str(p): _listed(info) for p, info in document["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Listing(self.repo, commit, files)

    def as_found(self, commit: str) -> Listing | None:
        """The files of a commit that are there, when nobody noted which there should be."""
        snapshot = self.snapshot(commit)
        if not snapshot.is_dir():
            return None
        found: dict[str, RepoFile] = {}
        for path in islice(snapshot.rglob("*"), MOST_FILES):
            with contextlib.suppress(OSError):
                if path.is_file():
                    found[path.relative_to(snapshot).as_posix()] = _named(path)
        return Listing(self.repo, commit, found)

    def presence(self, commit: str, wanted: dict[str, RepoFile]) -> Presence:
        """Sizes are compared; what the files hold is not looked at."""
        snapshot = str(self.snapshot(commit))
        sizes = self.sizes(commit, wanted)
        present = {
            path: Path(os.path.realpath(f"{snapshot}/{path}"))
            for path, file in wanted.items()
            if sizes.get(path) == file.size
        }
        missing = {path: file for path, file in wanted.items() if path not in present}
        return Presence(present, missing)

    def sizes(self, commit: str, paths: Iterable[str]) -> dict[str, int]:
        """Bytes of those files of a commit that are there."""
        snapshot = str(self.snapshot(commit))
        found: dict[str, int] = {}
        for path in paths:
            with contextlib.suppress(OSError):
                found[path] = os.stat(f"{snapshot}/{path}").st_size
        return found


def _named(path: Path) -> RepoFile:
    """A file by its blob, whose name is a sha256, or git's sha1 of a small file."""
    blob, size = (
        os.path.basename(os.readlink(path)) if path.is_symlink() else "",
        path.stat().st_size,
    )
    return RepoFile(size, sha256=blob) if len(blob) == 64 else RepoFile(size, git=blob)


def _listed(info: dict[str, object]) -> RepoFile:
    if info.get("lfs_sha256"):
        return RepoFile(_number(info["lfs_size"]), sha256=str(info["lfs_sha256"]))
    return RepoFile(_number(info["size"]), git=str(info["blob_id"]))


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value
