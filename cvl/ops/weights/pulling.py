"""Getting weights that are missing: into the hub cache, or into cvl's own store when they come from
a URL. One process downloads, however many ask; the others wait, and find it there."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cvl.core.weights import RepoFile, total_size
from cvl.errors import DiskFullError, WeightsError
from cvl.hub.messages import Access, Fetch, Fetched, FetchUrl, Request
from cvl.hub.remote import ask
from cvl.ops.report import Progress
from cvl.ops.session import Session
from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.resolving import RepoFiles, listener
from cvl.store.atomic import mount_of
from cvl.store.hub_cache import folder_of, hub_folder
from cvl.store.locks import held
from cvl.store.pins import RepoLock
from cvl.store.url_weights import UrlWeights

MARGIN = 0.05
GB = 10**9
SHOWN = 5


def pull_repo(session: Session, files: RepoFiles) -> None:
    """See that every wanted file is there and was checked. Raises WeightsError, DiskFullError."""
    if files.presence(session).complete:
        return
    refuse_offline(session, files.need.repo, files.presence(session).missing)
    with only_one(session, folder_of(files.need.repo), files.need.repo):
        missing = files.presence(session).missing
        if missing:
            check_disk(session, hub_folder(), files.need.repo, total_size(missing))
            fetch(session, files, missing)


def check_repo(session: Session, files: RepoFiles) -> None:
    """Before anything is done for a run: may what is missing be had, and does it fit?"""
    missing = files.presence(session).missing
    if missing:
        refuse_offline(session, files.need.repo, missing)
        check_disk(session, hub_folder(), files.need.repo, total_size(missing))
        for _ in ask(Access(files.need.repo), listener(session)):
            continue


def check_url(session: Session, need: UrlNeed) -> None:
    """The same for a file behind a URL."""
    if UrlWeights(session.dirs.url_weights).find(need.sha256, need.size) is None:
        refuse_offline(session, need.url, {need.name: RepoFile(need.size, need.sha256)})
        check_disk(session, session.dirs.cache, need.url, need.size)


def fetch(
    session: Session,
    files: RepoFiles,
    paths: dict[str, RepoFile],
    *,
    again: bool = False,
    how: Callable[[Fetch], Request] = lambda request: request,
) -> None:
    """Download `paths`; what the process that downloads is killed in the middle of is noted first,
    so that nobody takes it for good. how: makes another request of it, for bytes from elsewhere."""
    repo, commit = files.need.repo, files.commit
    session.pins.change(repo, lambda lock: lock.with_incoming(commit, paths))
    request = how(Fetch(repo, commit, files.need.revision, paths, again))
    total, done = total_size(paths), dict[str, str]()

    def on_bytes(count: int) -> None:
        session.report.progress(Progress(repo, "pull", min(count, total), total, "B"))

    def on_fetched(fetched: Fetched) -> None:
        done[fetched.path] = fetched.sha256

    session.report.phase(repo, "pull", f"{len(paths)} files, {total / GB:.2f} GB")
    told = replace(listener(session), on_bytes=on_bytes, on_fetched=on_fetched)
    try:
        for _ in ask(request, told):
            continue
    except DiskFullError:
        raise _filled(session, hub_folder(), repo, total) from None
    finally:
        if done:
            session.pins.change(repo, lambda lock: _arrived(lock, commit, done))
    left = paths.keys() - done.keys()
    if left:
        raise WeightsError(
            f"{repo}: the download ended without {some(left)}",
            hint="run it again",
            code="cut_short",
        )


def _arrived(lock: RepoLock, commit: str, done: dict[str, str]) -> RepoLock:
    for path, sha256 in done.items():
        lock = lock.with_sha256(commit, path, sha256)
    return lock.with_checked(commit, done, time.time())


def pull_url(session: Session, need: UrlNeed) -> Path:
    """The file behind a URL, in cvl's own store."""
    store = UrlWeights(session.dirs.url_weights)
    place = store.find(need.sha256, need.size)
    if place is not None:
        return place
    refuse_offline(session, need.url, {need.name: RepoFile(need.size, need.sha256)})
    with only_one(session, need.sha256, need.url):
        place = store.find(need.sha256, need.size)
        if place is not None:
            return place
        check_disk(session, session.dirs.cache, need.url, need.size)
        return _fetch_url(session, need, store)


def _fetch_url(session: Session, need: UrlNeed, store: UrlWeights) -> Path:
    part = store.part(need.sha256)
    session.report.phase(need.name, "pull", f"{need.size / GB:.2f} GB from {need.url}")

    def on_bytes(count: int) -> None:
        session.report.progress(Progress(need.name, "pull", count, need.size, "B"))

    try:
        request = FetchUrl(need.url, need.sha256, need.size, str(part))
        for _ in ask(request, replace(listener(session), on_bytes=on_bytes)):
            continue
        return store.keep(need.sha256, part)
    except DiskFullError:
        raise _filled(session, part.parent, need.url, need.size) from None
    finally:
        part.unlink(missing_ok=True)


def refuse_offline(session: Session, what: str, missing: dict[str, RepoFile]) -> None:
    """Name what is missing when it must not be fetched."""
    if session.offline:
        raise WeightsError(
            f"{what} lacks {some(missing)}, and --offline forbids to fetch them",
            hint="run cvl models pull with a network, or cvl models import a bundle",
            code="offline",
        )


def check_disk(session: Session, folder: Path, what: str, size: int) -> None:
    """Refuse before the first byte what cannot fit: the bytes and a margin."""
    mount = mount_of(folder)
    free = shutil.disk_usage(mount).free
    wanted = int(size * (1 + MARGIN))
    if free < wanted:
        raise DiskFullError(
            f"{what} needs {wanted / GB:.2f} GB, and {mount} has {free / GB:.2f} GB free",
            hint=f"{_room(session)}; {wanted - free} bytes more are needed",
        )


def _room(session: Session) -> str:
    """What would make room, with its number when there is one."""
    from cvl.ops.weights.removing import prunable

    size = prunable(session)
    frees = f" frees {size / GB:.2f} GB ({size} bytes)" if size else ""
    return f"cvl models prune{frees}, or cvl gc"


def _filled(session: Session, folder: Path, what: str, size: int) -> DiskFullError:
    mount = mount_of(folder)
    return DiskFullError(
        f"the disk at {mount} filled up while {what} ({size} bytes) was downloaded",
        hint=f"free space on {mount}: {_room(session)}",
    )


def some(names: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    paths = sorted(names)
    more = f" and {len(paths) - SHOWN} more files" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more


@contextmanager
def only_one(session: Session, name: str, what: str) -> Iterator[None]:
    """One download of a thing at a time."""
    path = session.lock_path("weights", name)

    def say_waiting() -> None:
        session.report.phase(what, "wait", f"another cvl ({_holder(path)}) is downloading it")

    with held(path, session.cancel.pause, say_waiting):
        path.write_text(str(os.getpid()))
        yield


def _holder(path: Path) -> str:
    try:
        return f"process {int(path.read_text())}"
    except (OSError, ValueError):
        return "process unknown"
