"""`cvl models outdated` and `update`: pins against what the hub says now.

A pin moves in one write, after every wanted file of the new commit is here and was read. Until then
the old one is in force, whatever happens.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from cvl.core.weights import COMMIT, Listing, RepoFile, total_size
from cvl.errors import WeightsError
from cvl.hub.messages import Resolved
from cvl.hub.remote import resolve
from cvl.ops.session import Session
from cvl.ops.weights.alone import only_one
from cvl.ops.weights.in_use import in_use
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.pulling import check_disk, fetch
from cvl.ops.weights.resolving import RepoFiles, listener, peek
from cvl.store.hub_cache import folder_of, hub_folder
from cvl.store.pins import Pin

State = Literal["current", "outdated", "fixed", "not_pinned", "gone"]


@dataclass(frozen=True)
class Comparison:
    """A pin beside what the hub says now. changed: wanted files that are new or hold something
    else; removed: those that are gone; to_fetch: bytes that are not here. fixed: the manifest names
    a commit, which never changes; gone: the hub no longer has the repo or the revision."""

    repo: str
    revision: str
    state: State
    old: str = ""
    new: str = ""
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    to_fetch: int = 0
    problem: str = ""


def together(
    session: Session, chosen: Iterable[RepoNeed], uses: Iterable[RepoNeed]
) -> list[RepoNeed]:
    """One need for each revision of a repo: a pin is of all who use it, so what others have of it
    here goes with it."""
    found: dict[tuple[str, str], RepoNeed] = {}
    for need in chosen:
        _add(found, need)
    for need in uses:
        if (need.repo, need.revision) in found and _is_here(session, need):
            _add(found, need)
    return list(found.values())


def _add(found: dict[tuple[str, str], RepoNeed], need: RepoNeed) -> None:
    known = found.setdefault((need.repo, need.revision), need)
    everything = not (known.patterns and need.patterns)
    patterns = () if everything else tuple(dict.fromkeys([*known.patterns, *need.patterns]))
    found[need.repo, need.revision] = replace(known, patterns=patterns)


def _is_here(session: Session, need: RepoNeed) -> bool:
    files = peek(session, need)
    return files is not None and files.presence(session).complete


def compare(session: Session, need: RepoNeed) -> Comparison:
    """Raises WeightsError where the hub cannot be asked."""
    _need_network(session)
    if COMMIT.fullmatch(need.revision):
        return Comparison(need.repo, need.revision, "fixed", need.revision, need.revision)
    session.report.phase(need.repo, "resolve", need.revision)
    pin = session.pins.of(need.repo).pins.get(need.revision)
    try:
        said = resolve(need.repo, need.revision, listener(session))
    except WeightsError as error:
        if error.code not in ("repo_not_found", "revision_not_found"):
            raise
        old = pin.commit if pin else ""
        return Comparison(need.repo, need.revision, "gone", old, problem=error.message)
    return _compared(session, need, pin, said)


def _compared(session: Session, need: RepoNeed, pin: Pin | None, said: Resolved) -> Comparison:
    wanted = Listing(need.repo, said.commit, said.files).matching(need.patterns)
    size = total_size(_not_here(session, need, said.commit, wanted))
    if pin is None:
        changed = tuple(sorted(wanted))
        return Comparison(
            need.repo, need.revision, "not_pinned", "", said.commit, changed, (), size
        )
    if pin.commit == said.commit:
        return Comparison(need.repo, need.revision, "current", pin.commit, said.commit)
    listing = session.pins.of(need.repo).listing(pin.commit)
    before = listing.matching(need.patterns) if listing else {}
    changed = tuple(
        sorted(p for p, f in wanted.items() if p not in before or before[p].blob != f.blob)
    )
    removed = tuple(sorted(before.keys() - wanted.keys()))
    return Comparison(
        need.repo, need.revision, "outdated", pin.commit, said.commit, changed, removed, size
    )


def _not_here(
    session: Session, need: RepoNeed, commit: str, wanted: dict[str, RepoFile]
) -> dict[str, RepoFile]:
    """Wanted files whose bytes no commit of the repo brought here, as far as sizes tell."""
    missing = RepoFiles(need, commit, wanted).presence(session).missing
    blobs = RepoFiles(need, commit, wanted).cached.folder / "blobs"
    found: dict[str, RepoFile] = {}
    for path, file in missing.items():
        try:
            here = (blobs / file.blob).stat().st_size == file.size
        except OSError:
            here = False
        if not here:
            found[path] = file
    return found


def update(session: Session, need: RepoNeed) -> Comparison:
    """Move the pin to what the hub says now; what was compared is returned. Raises WeightsError,
    DiskFullError, and the pin is where it was."""
    _need_network(session)
    if COMMIT.fullmatch(need.revision):
        return compare(session, need)
    with in_use(session, need), only_one(session, folder_of(need.repo), need.repo):
        session.report.phase(need.repo, "resolve", need.revision)
        said = resolve(need.repo, need.revision, listener(session))
        pin = session.pins.of(need.repo).pins.get(need.revision)
        found = _compared(session, need, pin, said)
        if found.state == "current":
            return found
        listing = Listing(need.repo, said.commit, said.files)
        wanted = listing.matching(need.patterns)
        if not wanted:
            raise WeightsError(
                f"{need.repo} {listing.lacks(need.patterns)} any more",
                hint="the pin stays where it is",
                code="file_not_found",
            )
        _fetch_all(session, RepoFiles(need, said.commit, wanted), said.files, found)
        moved = Pin(said.commit, time.time())
        session.pins.change(need.repo, lambda lock: lock.with_pin(need.revision, moved))
        return found


def _fetch_all(
    session: Session, files: RepoFiles, listing: dict[str, RepoFile], found: Comparison
) -> None:
    """What did not change is in the cache already, and is linked and read, not fetched."""
    session.pins.change(files.need.repo, lambda lock: lock.with_listing(files.commit, listing))
    check_disk(session, hub_folder(), files.need.repo, found.to_fetch)
    missing = files.presence(session).missing
    if missing:
        fetch(session, files, missing, how=lambda request: replace(request, instead_of=found.old))


def _need_network(session: Session) -> None:
    if session.offline:
        raise WeightsError(
            "what is new is known to the hub alone, and offline is set: it must not be asked",
            hint="see offline in cvl.toml, and CVL_OFFLINE",
            code="offline",
        )
