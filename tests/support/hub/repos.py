"""What the stand-in serves: repositories with commits and names for them, and files of releases."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

TEXT = {".cff", ".gitattributes", ".jinja", ".json", ".md", ".py", ".txt", ".yaml", ".yml"}
DATE = "2026-01-01T00:00:00.000Z"
POINTER_BYTES = 135
Listing = dict[str, "Entry"]


@dataclass(frozen=True)
class Blob:
    """Bytes on disk; `sha1` is that of git, over a header and the bytes."""

    path: Path
    size: int
    sha1: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    path: str
    blob: Blob
    lfs: bool

    @property
    def digest(self) -> str:
        """What the hub says as its ETag: sha256 of large files, git's sha1 of others."""
        return self.blob.sha256 if self.lfs else self.blob.sha1

    def listed(self) -> dict[str, Any]:
        """As in answers of /tree and /paths-info."""
        size = self.blob.size
        entry = {"type": "file", "oid": self.blob.sha1, "size": size, "path": self.path}
        if self.lfs:
            entry["lfs"] = {"oid": self.blob.sha256, "size": size, "pointerSize": POINTER_BYTES}
        return entry

    def sibling(self, blobs: bool) -> dict[str, Any]:
        """As in what /api/models says of a repository; with sizes where asked for."""
        if not blobs:
            return {"rfilename": self.path}
        size = self.blob.size
        named = {"rfilename": self.path, "size": size, "blobId": self.blob.sha1}
        if self.lfs:
            named["lfs"] = {"sha256": self.blob.sha256, "size": size, "pointerSize": POINTER_BYTES}
        return named


@dataclass
class Settings:
    """How a repository behaves.

    `lfs_bytes`: files of this size and more are LFS, except text. `page`: entries of /tree per
    answer. `granted`: the tokens that a gated or private repository is open to. `cdn`: LFS bodies
    are on the other host. `gzip`: text is compressed, without a length, for who accepts that.
    """

    gated: str | bool = False
    private: bool = False
    license: str = "apache-2.0"
    lfs_bytes: int = 1024
    page: int = 1000
    cdn: bool = True
    gzip: bool = True
    granted: list[str] = field(default_factory=list)


class Repository:
    """Commits are listings by id; branches, tags and pull requests are names of commits."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.commits: dict[str, Listing] = {}
        self.refs: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.commit(None, {})

    def commit(self, parent: str | None, listing: Listing, branch: str = "main") -> str:
        """File a listing as the branch's newest commit; its id follows from parent and listing."""
        text = "".join(f"{path}\0{listing[path].blob.sha256}\n" for path in sorted(listing))
        commit = hashlib.sha1(f"{self.name}\0{parent}\n{text}".encode()).hexdigest()
        self.commits[commit] = listing
        self.refs[branch] = commit
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag or full commit id means."""
        if revision in self.commits:
            return revision
        return self.refs.get(revision) or self.tags.get(revision)

    def described(self, commit: str, blobs: bool) -> dict[str, Any]:
        """As /api/models answers."""
        listing = self.commits[commit]
        files = [listing[path] for path in sorted(listing)]
        return {
            "_id": "0" * 24,
            "id": self.name,
            "modelId": self.name,
            "author": self.name.rpartition("/")[0] or None,
            "sha": commit,
            "lastModified": DATE,
            "createdAt": DATE,
            "private": self.settings.private,
            "gated": self.settings.gated,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [f"license:{self.settings.license}"],
            "cardData": {"license": self.settings.license},
            "usedStorage": sum(entry.blob.size for entry in files),
            "siblings": [entry.sibling(blobs) for entry in files],
        }

    def references(self, pull_requests: bool) -> dict[str, Any]:
        """As /refs answers."""
        heads = [(name, f"refs/heads/{name}") for name in self.refs if not name.startswith("refs/")]
        answer = {
            "branches": [_reference(name, ref, self.refs[name]) for name, ref in heads],
            "converts": [],
            "tags": [_reference(n, f"refs/tags/{n}", commit) for n, commit in self.tags.items()],
        }
        if pull_requests:
            requests = [name for name in self.refs if name.startswith("refs/pr/")]
            answer["pullRequests"] = [_reference(n[5:], n, self.refs[n]) for n in requests]
        return answer


def _reference(name: str, ref: str, commit: str) -> dict[str, Any]:
    return {"name": name, "ref": ref, "targetCommit": commit}


def tree(listing: Listing, below: str = "", recursive: bool = True) -> list[dict[str, Any]]:
    """Entries below a folder as /tree lists them: folders too, in order of their paths."""
    prefix = f"{below}/" if below else ""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(listing):
        if not path.startswith(prefix):
            continue
        inner = path[len(prefix) :]
        for folder in _folders(inner):
            found.setdefault(prefix + folder, directory(listing, prefix + folder))
        found[path] = listing[path].listed()
    names = sorted(found)
    return [found[name] for name in names if recursive or "/" not in name[len(prefix) :]]


def _folders(path: str) -> Iterator[str]:
    """`a/b/c` -> `a`, `a/b`."""
    yield from (str(folder) for folder in reversed(PurePosixPath(path).parents[:-1]))


def directory(listing: Listing, path: str) -> dict[str, Any]:
    """A folder's entry; its id is made up of what is in it."""
    inside = sorted(name for name in listing if name.startswith(f"{path}/"))
    oid = hashlib.sha1("\n".join(f"{n} {listing[n].blob.sha1}" for n in inside).encode())
    return {"type": "directory", "oid": oid.hexdigest(), "size": 0, "path": path}


class Shelf:
    """Everything that is served; the bytes are below `root`."""

    def __init__(self, root: Path) -> None:
        self.objects = root / "objects"
        self.objects.mkdir(parents=True, exist_ok=True)
        self.repositories: dict[str, Repository] = {}
        self.renamed: dict[str, str] = {}
        self.releases: dict[str, Blob] = {}
        self.by_digest: dict[str, Blob] = {}
        self.lock = threading.RLock()

    def create(self, name: str, settings: dict[str, Any]) -> Repository:
        """Make a repository, or change how it behaves; of settings not named, the old stay."""
        with self.lock:
            repository = self.repositories.get(name)
            if repository is None:
                repository = self.repositories[name] = Repository(name, Settings())
                self.renamed.pop(name, None)
            for key, value in settings.items():
                if not hasattr(repository.settings, key):
                    raise ValueError(f"a repository has no setting {key!r}")
                setattr(repository.settings, key, value)
            return repository

    def push(self, name: str, folder: Path, sparse: dict[str, int], gone: list[str],
             branch: str) -> str:  # fmt: skip
        """New commit: the branch's files, and those in `folder` (moved away), less those gone."""
        with self.lock:
            repository = self.create(name, {})
            parent = repository.refs.get(branch) or repository.refs["main"]
            listing = {p: e for p, e in repository.commits[parent].items() if p not in gone}
            blobs = {path: self.keep(folder / path) for path in _files(folder)}
            blobs.update((path, self.promise(name, path, n)) for path, n in sparse.items())
            threshold = repository.settings.lfs_bytes
            for path, blob in blobs.items():
                listing[path] = Entry(path, blob, is_lfs(path, blob.size, threshold))
            return repository.commit(parent, listing, branch)

    def rename(self, old: str, new: str) -> None:
        with self.lock:
            repository = self.repositories.pop(old)
            repository.name = new
            self.repositories[new] = repository
            self.renamed = {k: new if v == old else v for k, v in self.renamed.items()}
            self.renamed[old] = new

    def keep(self, path: Path) -> Blob:
        """Take a file in by its digest."""
        size = path.stat().st_size
        sha1, sha256 = hashlib.sha1(b"blob %d\0" % size), hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha1.update(block)
                sha256.update(block)
        return self._file(path, Blob(path, size, sha1.hexdigest(), sha256.hexdigest()))

    def promise(self, name: str, path: str, size: int) -> Blob:
        """A file that is listed with a size: zeros that take no disk, and digests made up."""
        made_up = f"{name}/{path}/{size}".encode()
        staged = self.objects / "staged"
        with staged.open("wb") as file:
            file.truncate(size)
        sha1, sha256 = hashlib.sha1(made_up), hashlib.sha256(made_up)
        return self._file(staged, Blob(staged, size, sha1.hexdigest(), sha256.hexdigest()))

    def _file(self, path: Path, blob: Blob) -> Blob:
        target = self.objects / blob.sha256
        shutil.move(path, target)
        kept = Blob(target, blob.size, blob.sha1, blob.sha256)
        self.by_digest[blob.sha256] = kept
        return kept


def is_lfs(path: str, size: int, threshold: int) -> bool:
    name = PurePosixPath(path)
    return size >= threshold and not {name.suffix, name.name} & TEXT


def _files(folder: Path) -> Iterable[str]:
    """Paths of the files below a folder, as in a repository."""
    return [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
