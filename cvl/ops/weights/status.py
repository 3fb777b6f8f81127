"""`cvl models status`: every file of the weights that were asked for."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cvl.core.weights import RepoFile, is_pickled
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed, UrlNeed
from cvl.ops.weights.resolving import RepoFiles, peek
from cvl.ops.weights.using import Here, Used, here
from cvl.store.hub_cache import CachedRepo, hub_folder
from cvl.store.hub_survey import RepoOnDisk
from cvl.store.url_weights import UrlWeights

FileState = Literal["present", "missing", "wrong_size", "unchecked"]


@dataclass(frozen=True)
class FileStatus:
    """unchecked: its download was cut off, or it was found to be wrong. verified: it was read and
    is right, and nothing was done to it since."""

    path: str
    size: int
    state: FileState
    verified: bool
    pickle: bool


@dataclass(frozen=True)
class WeightsStatus:
    used: Used
    here: Here
    files: tuple[FileStatus, ...]


def status_of(session: Session, used: Used) -> WeightsStatus:
    """Without a network. No files when nobody noted which there should be."""
    need = used.need
    if isinstance(need, UrlNeed):
        files = [_url_file(session, need)]
    else:
        found = peek(session, need)
        files = _files(session, found) if found else []
    return WeightsStatus(used, here(session, used), tuple(files))


def other(repo: RepoOnDisk) -> Used:
    """A repo that no example uses, as it is in the cache: what `main` was, else its only commit."""
    revision = "main"
    commits = repo.commits
    if not CachedRepo(hub_folder(), repo.repo).commit_of(revision) and commits:
        revision = commits[-1]
    return Used(RepoNeed(repo.repo, repo.repo, revision, (), format="other"))


def _files(session: Session, found: RepoFiles) -> list[FileStatus]:
    lock = session.pins.of(found.need.repo)
    unsure = set(lock.incoming.get(found.commit, ()))
    checked = lock.checked.get(found.commit, {})
    snapshot = found.cached.snapshot(found.commit)
    return [
        _file(snapshot / path, path, file, path in unsure, checked.get(path, 0.0))
        for path, file in sorted(found.wanted.items())
    ]


def _file(place: Path, path: str, file: RepoFile, unsure: bool, checked: float) -> FileStatus:
    state: FileState = "missing"
    verified = False
    with contextlib.suppress(OSError):
        status = place.stat()
        state = "present" if status.st_size == file.size else "wrong_size"
        verified = state == "present" and not unsure and status.st_ctime <= checked
    if state == "present" and unsure:
        state = "unchecked"
    return FileStatus(path, file.size, state, verified, is_pickled(path))


def _url_file(session: Session, need: UrlNeed) -> FileStatus:
    """What is in that store was checked before it got there."""
    place = UrlWeights(session.dirs.url_weights).place(need.sha256)
    size = place.stat().st_size if place.exists() else None
    state: FileState = "missing" if size is None else "present"
    if size is not None and size != need.size:
        state = "wrong_size"
    return FileStatus(need.name, need.size, state, state == "present", is_pickled(need.name))
