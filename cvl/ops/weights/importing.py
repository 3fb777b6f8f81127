"""`cvl models import`: a bundle from another machine into the cache. All of it is read and compared
before any of it is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvl.core.bundle import BadBundle, Bundle, BundledRepo, BundledUrl
from cvl.core.names import printable
from cvl.core.weights import COMMIT, RepoFile, total_size
from cvl.disks import naming_the_mount
from cvl.errors import InputError
from cvl.hub.messages import Fetch, Request, Unpack
from cvl.ops.report import Progress
from cvl.ops.session import Session
from cvl.ops.weights.alone import only_one
from cvl.ops.weights.in_use import in_use
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.pulling import check_disk, fetch
from cvl.ops.weights.resolving import RepoFiles
from cvl.store.bundle_file import OpenBundle, copy_member, read_bundle
from cvl.store.hub_cache import folder_of, hub_folder
from cvl.store.pins import Pin, RepoLock
from cvl.store.url_weights import UrlWeights


@dataclass(frozen=True)
class Imported:
    """What a bundle had; fetched: bytes that were not here yet. moved: repo -> the commit that its
    revision meant here before."""

    bundle: Bundle
    fetched: int
    moved: dict[str, str]


def import_bundle(session: Session, path: Path) -> Imported:
    """Raises InputError for a bundle that is damaged or hostile, of which nothing is used; and
    DiskFullError."""
    opened = _read(session, path)
    bundle = opened.bundle
    missing = [_missing(session, repo) for repo in bundle.repos]
    urls = UrlWeights(session.dirs.url_weights)
    wanted = [url for url in bundle.urls if urls.find(url.sha256, url.size) is None]
    in_repos = sum(total_size(files) for files in missing)
    in_urls = sum({url.sha256: url.size for url in wanted}.values())
    if in_repos:
        check_disk(session, hub_folder(), "the bundle", in_repos)
    if in_urls:
        check_disk(session, session.dirs.cache, "the bundle", in_urls)
    for url in wanted:
        _import_url(session, urls, opened, url)
    moved = {}
    for repo in bundle.repos:
        before = _import_repo(session, opened, repo)
        if before:
            moved[repo.repo] = before
    return Imported(bundle, in_repos + in_urls, moved)


def _read(session: Session, path: Path) -> OpenBundle:
    shown = printable(str(path), 200)
    try:
        total = path.stat().st_size
        session.report.phase(path.name, "check", f"{total} bytes")
        return read_bundle(path, _telling(session, path.name, "check", total))
    except BadBundle as error:
        raise InputError(
            f"{shown} is no bundle that can be used: {error}",
            hint="make it again, with cvl models export, and compare the copy",
            code="bad_bundle",
        ) from None
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}") from None


def _telling(session: Session, what: str, phase: str, total: int) -> Callable[[int], None]:
    done = 0

    def passed(count: int) -> None:
        nonlocal done
        session.cancel.check()
        done += count
        session.report.progress(Progress(what, phase, done, total, "B"))

    return passed


def _missing(session: Session, repo: BundledRepo) -> dict[str, RepoFile]:
    """InputError where it says other things of a commit than what is known of it."""
    known = session.pins.of(repo.repo).files.get(repo.commit, {})
    if any(path in known and known[path].listed != file for path, file in repo.listing.items()):
        raise InputError(
            f"the bundle says other things of {repo.repo}@{repo.commit[:12]} than the lock here",
            hint="cvl models verify says whether what is here is right; the bundle is not, then",
            code="bad_bundle",
        )
    return _files(repo).presence(session).missing


def _files(repo: BundledRepo) -> RepoFiles:
    need = RepoNeed(repo.repo, repo.repo, repo.revision, (), "other")
    return RepoFiles(need, repo.commit, repo.files)


def _import_url(session: Session, urls: UrlWeights, opened: OpenBundle, url: BundledUrl) -> None:
    member = next(member for member in opened.members if member.sha256 == url.sha256)
    passed = _telling(session, url.name, "import", url.size)
    with only_one(session, url.sha256, url.url), naming_the_mount(session.dirs.cache):
        if urls.find(url.sha256, url.size) is None:
            part = urls.part(url.sha256)
            try:
                copy_member(opened, member, part, passed)
                urls.keep(url.sha256, part)
            except BadBundle as error:
                raise InputError(f"{opened.path}: {error}", code="bad_bundle") from None
            finally:
                part.unlink(missing_ok=True)


def _import_repo(session: Session, opened: OpenBundle, repo: BundledRepo) -> str:
    """The commit that the revision meant before, if that was another. It means this one when every
    file was checked in its place, not before."""
    files = _files(repo)
    places = {path: opened.offsets[sha256] for path, sha256 in repo.wanted.items()}

    def how(request: Fetch) -> Request:
        here = {path: places[path] for path in request.files}
        return Unpack(request, repo.listing, str(opened.path), here)

    with in_use(session, files.need), only_one(session, folder_of(repo.repo), repo.repo):
        session.pins.change(repo.repo, lambda lock: lock.with_listing(repo.commit, repo.listing))
        missing = files.presence(session).missing
        if missing:
            fetch(session, files, missing, how=how)
        known = session.pins.of(repo.repo).pins.get(repo.revision)
        session.pins.change(repo.repo, lambda lock: _pinned(lock, repo))
    return known.commit if known and known.commit != repo.commit else ""


def _pinned(lock: RepoLock, repo: BundledRepo) -> RepoLock:
    for path, sha256 in repo.wanted.items():
        lock = lock.with_sha256(repo.commit, path, sha256)
    pin = lock.pins.get(repo.revision)
    if COMMIT.fullmatch(repo.revision) or (pin and pin.commit == repo.commit):
        return lock
    return lock.with_pin(repo.revision, Pin(repo.commit, time.time()))
