"""From the name of a repo to a commit and its files. What was resolved once is pinned, so that a
run needs the network for weights that it has never had alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cvl.core.weights import COMMIT, Listing, RepoFile, repo_identity
from cvl.errors import WeightsError
from cvl.hub.messages import Waiting
from cvl.hub.remote import Listener, resolve
from cvl.ops.session import Session
from cvl.ops.weights.alone import only_one, who
from cvl.ops.weights.needs import RepoNeed
from cvl.store.hub_cache import CachedRepo, Presence, folder_of, hub_folder
from cvl.store.pins import Pin, RepoLock


@dataclass(frozen=True)
class RepoFiles:
    """A need with the files that meet it."""

    need: RepoNeed
    commit: str
    wanted: dict[str, RepoFile]
    lacks: str = ""
    """Why nothing is wanted."""

    @property
    def identity(self) -> str:
        return repo_identity(self.need.repo, self.commit)

    @property
    def cached(self) -> CachedRepo:
        return CachedRepo(hub_folder(), self.need.repo)

    def presence(self, session: Session) -> Presence:
        """What is there; a file whose download was cut off before it was checked is missing."""
        found = self.found
        unsure = self.unsure(session)
        missing = {p: f for p, f in self.wanted.items() if p in found.missing or p in unsure}
        return Presence({p: at for p, at in found.present.items() if p not in missing}, missing)

    @property
    def found(self) -> Presence:
        """By size; of a file that is there nobody may have looked yet at what it holds."""
        return self.cached.presence(self.commit, self.wanted)

    def unsure(self, session: Session) -> set[str]:
        """Files whose download began and did not end well."""
        return set(session.pins.of(self.need.repo).incoming.get(self.commit, ()))


def resolve_need(session: Session, need: RepoNeed) -> RepoFiles:
    """The commit and files of a need: as pinned, as cached, else as the hub says.

    Raises WeightsError when only the hub could say, and it does not or must not be asked.
    """
    found = known(session, need)
    if found is None:
        if session.offline:
            raise WeightsError(
                f"{need.repo} is not here, and --offline forbids to fetch it",
                hint="run cvl models pull with a network, or cvl models import a bundle",
                code="offline",
            )
        with only_one(session, folder_of(need.repo), need.repo):
            # Who waited finds what the other was told, and means the same commit.
            found = known(session, need) or look_up(session, need)
    if found.lacks:
        raise WeightsError(
            f"{need.repo} {found.lacks}",
            hint="see cvl models status, and the files of the weights in example.yaml",
            code="file_not_found",
        )
    return found


def known(session: Session, need: RepoNeed) -> RepoFiles | None:
    """Without the network; pinned from now on."""
    need = _today(session, need)
    listing = _listing(session, need)
    if listing is None:
        return None
    lock, pin = session.pins.of(need.repo), _pinning(need, listing)
    if pin(lock) != lock:
        session.pins.change(need.repo, pin)
    return _met_by(listing, need)


def peek(session: Session, need: RepoNeed) -> RepoFiles | None:
    """Without the network, and without writing anything."""
    need = _today(session, need)
    listing = _listing(session, need)
    if listing is None:
        return None
    return _met_by(listing, need)


def _met_by(listing: Listing, need: RepoNeed) -> RepoFiles:
    wanted = listing.matching(need.patterns)
    lacks = "" if wanted else listing.lacks(need.patterns)
    return RepoFiles(need, listing.commit, wanted, lacks)


def _today(session: Session, need: RepoNeed) -> RepoNeed:
    """By the name that the hub was heard to use."""
    now = session.pins.of(need.repo).now
    return replace(need, repo=now) if now else need


def _listing(session: Session, need: RepoNeed) -> Listing | None:
    """What the pinned commit has, else the cached one."""
    lock = session.pins.of(need.repo)
    cached = CachedRepo(hub_folder(), need.repo)
    pin = lock.pins.get(need.revision)
    commit = pin.commit if pin else cached.commit_of(need.revision)
    if not commit:
        return None
    return lock.listing(commit) or cached.listing(commit) or _as_found(session, cached, commit)


def _as_found(session: Session, cached: CachedRepo, commit: str) -> Listing | None:
    """Without a network and a list of files, what is there has to be what there is."""
    return cached.as_found(commit) if session.offline else None


def look_up(session: Session, need: RepoNeed, *, pin: bool = True) -> RepoFiles:
    """Ask the hub, and pin what it says."""
    session.report.phase(need.repo, "resolve", need.revision)
    if need.repo != need.asked:
        session.report.message(f"{need.asked} is called {need.repo} now")
    said = resolve(need.repo, need.revision, listener(session))
    if said.repo != need.repo:
        session.report.message(f"{need.repo} is called {said.repo} now")
        session.pins.change(need.repo, lambda lock: replace(lock, now=said.repo))
        need = replace(need, repo=said.repo)
    listing = Listing(need.repo, said.commit, said.files)
    if pin:
        session.pins.change(need.repo, _pinning(need, listing))
    return _met_by(listing, need)


def _pinning(need: RepoNeed, listing: Listing) -> Callable[[RepoLock], RepoLock]:
    """A commit needs no pin; a revision keeps the one that it has."""

    def change(lock: RepoLock) -> RepoLock:
        if listing.commit not in lock.files:
            lock = lock.with_files(listing.commit, listing.files)
        if COMMIT.fullmatch(need.revision) or need.revision in lock.pins:
            return lock
        return lock.with_pin(need.revision, Pin(listing.commit, time.time()))

    return change


def listener(session: Session) -> Listener:
    """One that passes on what is said, and gives up when the user does."""

    def pause(seconds: float) -> None:
        session.cancel.check()

    def on_waiting(waiting: Waiting) -> None:
        holder = who(Path(waiting.lock))
        text = f"another program ({holder}) is downloading {waiting.path}; waiting for it"
        session.tell_once(waiting.lock, text)

    return Listener(pause, on_trouble=session.report.message, on_waiting=on_waiting)
