"""`cvl models verify` and `repair`: what is on disk against what it should be. Sizes first; then
the bytes are read again, always, whatever was known of them before."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cvl.core.weights import RepoFile, total_size
from cvl.hub.remote import resolve
from cvl.ops.report import Progress
from cvl.ops.session import Session
from cvl.ops.weights.in_use import in_use, unused
from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.pulling import check_disk, fetch, pull_url, refuse_offline
from cvl.ops.weights.resolving import RepoFiles, known, listener, peek
from cvl.ops.weights.using import Used
from cvl.store.hub_cache import hub_folder
from cvl.store.url_weights import UrlWeights

CHUNK = 1 << 20
READERS = 4
Trouble = Literal["missing", "wrong_size", "wrong_content", "unreadable"]


@dataclass(frozen=True)
class BadFile:
    path: str
    size: int
    trouble: Trouble


@dataclass(frozen=True)
class Verified:
    """What was found of weights: files that are right, those that are not, and those that are there
    although the commit has no such file. listed: it is known which files there should be; told: in
    what the hub says other than the lock."""

    used: Used
    commit: str
    good: tuple[str, ...]
    bad: tuple[BadFile, ...]
    extra: tuple[str, ...] = ()
    listed: bool = True
    told: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return self.listed and not self.bad and not self.told


def verify(session: Session, used: Used, *, online: bool = False) -> Verified:
    """Against the lock, or against the hub. What is found wrong counts as missing from then on:
    the next run fetches it."""
    need = used.need
    if isinstance(need, UrlNeed):
        return _verify_url(session, used, need)
    found = peek(session, need)
    if found is None:
        return Verified(used, "", (), (), listed=False)
    with in_use(session, found):
        return _verify_repo(session, used, found, online=online)


def _verify_repo(session: Session, used: Used, found: RepoFiles, *, online: bool) -> Verified:
    told: tuple[str, ...] = ()
    if online:
        said = resolve(found.need.repo, found.commit, listener(session)).files
        told = tuple(path for path, file in found.wanted.items() if _differs(file, said.get(path)))
        found = replace(found, wanted={p: said.get(p, f) for p, f in found.wanted.items()})
    snapshot = found.cached.snapshot(found.commit)
    bad = _bad(session, found.need.repo, {p: (snapshot / p, f) for p, f in found.wanted.items()})
    wrong = {file.path for file in bad}
    good = [path for path in found.wanted if path not in wrong]
    doubted = [file.path for file in bad if file.trouble != "missing"]
    when = time.time()
    session.pins.change(
        found.need.repo,
        lambda lock: lock.with_incoming(found.commit, doubted).with_checked(
            found.commit, good, when
        ),
    )
    return Verified(used, found.commit, tuple(good), tuple(bad), _extra(session, found), told=told)


def _differs(known: RepoFile, said: RepoFile | None) -> bool:
    return said is None or (known.size, known.blob) != (said.size, said.blob)


def _extra(session: Session, found: RepoFiles) -> tuple[str, ...]:
    """Files of the snapshot that the commit does not have; other programs may want those that it
    has and we do not."""
    lock = session.pins.of(found.need.repo)
    listing = lock.listing(found.commit) or found.cached.listing(found.commit)
    there = found.cached.as_found(found.commit)
    if listing is None or there is None:
        return ()
    return tuple(sorted(there.files.keys() - listing.files.keys()))


def _verify_url(session: Session, used: Used, need: UrlNeed) -> Verified:
    store = UrlWeights(session.dirs.url_weights)
    place = store.place(need.sha256)
    wanted = {need.name: (place, RepoFile(need.size, need.sha256))}
    with in_use(session, need):
        bad = _bad(session, need.name, wanted)
    if bad and place.exists():
        with unused(session, place) as user:
            if not user:  # what cut-off downloads are called: nobody takes it for the file
                place.replace(store.part(need.sha256))
    return Verified(used, "", () if bad else (need.name,), tuple(bad))


def _bad(
    session: Session, what: str, wanted: dict[str, tuple[Path, RepoFile]]
) -> Sequence[BadFile]:
    """Several files are read at once, the largest first."""
    total = sum(file.size for _, file in wanted.values())
    session.report.phase(what, "verify", f"{len(wanted)} files")
    reading = _Reading(session, what, total)
    ordered = sorted(wanted, key=lambda path: -wanted[path][1].size)
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda path: _judge(path, *wanted[path], reading.add), ordered))
    session.cancel.check()
    bad = [file for file in found if file is not None]
    session.report.phase(what, "done" if not bad else "failed", f"{len(bad)} bad" if bad else "")
    return sorted(bad, key=lambda file: file.path)


class _Reading:
    """Counts what all readers read."""

    def __init__(self, session: Session, what: str, total: int) -> None:
        self._session, self._what, self._total = session, what, total
        self._lock = threading.Lock()
        self._done = 0

    def add(self, count: int) -> bool:
        """May it go on?"""
        with self._lock:
            self._done += count
            progress = Progress(self._what, "verify", self._done, self._total, "B")
            self._session.report.progress(progress)
        return not self._session.cancel.requested


def _judge(path: str, place: Path, file: RepoFile, read: Callable[[int], bool]) -> BadFile | None:
    try:
        size = os.stat(place).st_size
        if size != file.size:
            return BadFile(path, file.size, "wrong_size")
        right = _is_right(place, file, read)
    except FileNotFoundError:
        return BadFile(path, file.size, "missing")
    except OSError:
        return BadFile(path, file.size, "unreadable")
    return None if right else BadFile(path, file.size, "wrong_content")


def _is_right(place: Path, file: RepoFile, read: Callable[[int], bool]) -> bool:
    """By sha256 when it is known, else by what git calls a small file. Also true when the user
    wants out: nothing is said then."""
    if not file.blob:
        return True  # nobody ever noted what it should hold: its size is all there is
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size)
    with place.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            if not read(len(chunk)):
                return True
    return digest.hexdigest() == (file.sha256 or file.git)


@dataclass(frozen=True)
class Repaired:
    """before and after: what was found; fetched: files and bytes."""

    before: Verified
    after: Verified
    files: tuple[str, ...]
    size: int


def repair(session: Session, used: Used) -> Repaired:
    """Fetch what is bad and nothing else, then look again. Raises WeightsError, DiskFullError."""
    before = verify(session, used)
    need = used.need
    if not before.bad:
        return Repaired(before, before, (), 0)
    wrong = {file.path for file in before.bad}
    refuse_offline(session, used.name, dict.fromkeys(wrong, RepoFile(0)))
    if isinstance(need, UrlNeed):
        with in_use(session, need):
            pull_url(session, need)
        return Repaired(before, verify(session, used), tuple(sorted(wrong)), need.size)
    found = known(session, need)
    assert found is not None  # it was verified
    paths = {path: file for path, file in found.wanted.items() if path in wrong}
    with in_use(session, found):
        check_disk(session, hub_folder(), need.repo, total_size(paths))
        fetch(session, found, paths, again=True)
    return Repaired(before, verify(session, used), tuple(sorted(wrong)), total_size(paths))
