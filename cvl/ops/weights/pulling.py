"""Getting weights that are missing: into the hub cache, or into cvl's own store when they come from
a URL. One process downloads, however many ask; the others wait, and find it there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from cvl.core.licensing import Terms
from cvl.core.units import size
from cvl.core.weights import RepoFile, total_size
from cvl.disks import mount_of
from cvl.errors import DiskFullError, WeightsError
from cvl.hub.messages import Access, Fetch, Fetched, FetchUrl, Request
from cvl.hub.remote import ask
from cvl.ops.report import Progress
from cvl.ops.session import Session
from cvl.ops.weights.alone import only_one
from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.resolving import RepoFiles, listener
from cvl.store.hub_cache import folder_of
from cvl.store.pins import RepoLock
from cvl.store.url_weights import UrlWeights

MARGIN = 0.05
SHOWN = 5


def pull_repo(session: Session, files: RepoFiles) -> None:
    """See that every wanted file is there and was checked. Raises WeightsError, DiskFullError."""
    if files.presence(session).complete:
        return
    refuse_offline(session, files.need.repo, files.presence(session).missing)
    with only_one(session, folder_of(files.need.repo), files.need.repo):
        missing = files.presence(session).missing
        if missing:
            check_room(session, files)
            _say_cut_off(session, files)
            fetch(session, files, missing)


def _say_cut_off(session: Session, files: RepoFiles) -> None:
    """A part of a file is of no use, so what was on its way begins again."""
    unsure = files.unsure(session) & files.wanted.keys()
    if unsure:
        again = len(unsure & files.found.missing.keys())
        whole = f", {len(unsure) - again} are there and are checked" if len(unsure) > again else ""
        session.report.message(
            f"the last download of {files.need.repo} was cut off: {again} files begin again{whole}"
        )


def check_room(session: Session, files: RepoFiles) -> None:
    """Refuse before the first byte what cannot fit beside what is there."""
    check_disk(session, files.cached.folder, files.need.repo, total_size(files.found.missing))


def check_repo(session: Session, files: RepoFiles) -> None:
    """Before anything is done for a run: may what is missing be had, and does it fit?"""
    missing = files.presence(session).missing
    if missing:
        refuse_offline(session, files.need.repo, missing)
        check_room(session, files)
        for _ in ask(Access(files.need.repo), listener(session)):
            continue


def check_url(session: Session, need: UrlNeed) -> None:
    """The same for a file behind a URL."""
    if is_url_missing(session, need):
        refuse_offline(session, need.url, {need.name: RepoFile(need.size, need.sha256)})
        check_disk(session, session.dirs.cache, need.url, need.size)


def tell_license(session: Session, example: str, terms: Terms) -> None:
    """Say what may be done with weights that are about to be downloaded."""
    text = f"licence of {example}: {terms}"
    session.tell_once(text, text)


def is_url_missing(session: Session, need: UrlNeed) -> bool:
    """Is the file behind a URL not here yet?"""
    return UrlWeights(session.dirs.url_weights).find(need.sha256, need.size) is None


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

    session.report.phase(repo, "pull", f"{len(paths)} files, {size(total)}")
    told = replace(listener(session), on_bytes=on_bytes, on_fetched=on_fetched)
    try:
        for _ in ask(request, told):
            continue
    except DiskFullError:
        raise _filled(session, files.cached.folder, repo, total_size(files.found.missing)) from None
    except WeightsError as error:
        if error.code != "worker_killed":
            raise
        raise _cut_off(files, error) from None
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


def _cut_off(files: RepoFiles, error: WeightsError) -> WeightsError:
    again = len(files.found.missing)
    text = f"{files.need.repo} was cut off: {error.message}; {again} files begin again"
    return WeightsError(text, hint=error.hint, code="cut_short")


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
    session.report.phase(need.name, "pull", f"{size(need.size)} from {need.url}")

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


def check_disk(session: Session, folder: Path, what: str, count: int) -> None:
    """Refuse before the first byte what cannot fit: so many bytes and a margin."""
    mount = mount_of(folder)
    free = shutil.disk_usage(mount).free
    wanted = int(count * (1 + MARGIN))
    if free < wanted:
        raise DiskFullError(
            f"{what} needs {size(wanted)}, and {mount} has {size(free)} free",
            hint=f"{_room(session)}; {wanted - free} bytes more are needed",
        )


def _room(session: Session) -> str:
    """What would make room, with its number when there is one."""
    from cvl.ops.weights.removing import prunable

    freed = prunable(session)
    frees = f" frees {size(freed)} ({freed} bytes)" if freed else ""
    return f"cvl models prune{frees}, or cvl gc"


def _filled(session: Session, folder: Path, what: str, missing: int) -> DiskFullError:
    """missing: bytes of it."""
    mount = mount_of(folder)
    free = shutil.disk_usage(mount).free
    more = max(0, int(missing * (1 + MARGIN)) - free)
    return DiskFullError(
        f"the disk at {mount} filled up while {what} was downloaded: {missing} bytes of it are "
        f"missing, {free} are free",
        hint=f"free {more} bytes on {mount}: {_room(session)}; then run it again: what is "
        "complete is kept",
    )


def some(names: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    paths = sorted(names)
    more = f" and {len(paths) - SHOWN} more files" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more
