"""`cvl models lock`: which commit weights are at, and what every file of it holds. Nothing is
downloaded for that."""

from __future__ import annotations

import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cvl.core.manifest_edit import NoPlace, with_revision
from cvl.core.weights import COMMIT, RepoFile, total_size
from cvl.errors import WeightsError
from cvl.hub.remote import resolve
from cvl.ops.examples import MANIFEST, Example
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.resolving import known, listener
from cvl.store.atomic import write_atomic
from cvl.store.pins import Pin, RepoLock

CARRIED = "cvl"
"""Source of the examples that come with cvl."""


@dataclass(frozen=True)
class Locked:
    """A revision of a repo with the commit that it means here. unknown: wanted files whose sha256
    the hub does not say, because they are small; it is known once they were read."""

    repo: str
    revision: str
    commit: str
    files: dict[str, RepoFile]
    new: bool

    @property
    def size(self) -> int:
        return total_size(self.files)

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(sorted(path for path, file in self.files.items() if not file.sha256))


def lock(session: Session, need: RepoNeed) -> Locked:
    """What is pinned stays pinned; its list of files is asked for anew. Raises WeightsError."""
    pinned = session.pins.of(need.repo).pins.get(need.revision)
    if session.offline:
        found = known(session, need)
        if found is None:
            raise WeightsError(f"{need.repo} is not known here, and offline is set", code="offline")
        return Locked(need.repo, need.revision, found.commit, found.wanted, pinned is None)
    session.report.phase(need.repo, "resolve", need.revision)
    said = resolve(need.repo, pinned.commit if pinned else need.revision, listener(session))

    def change(lock: RepoLock) -> RepoLock:
        lock = lock.with_listing(said.commit, said.files)
        if COMMIT.fullmatch(need.revision) or need.revision in lock.pins:
            return lock
        return lock.with_pin(need.revision, Pin(said.commit, time.time()))

    listing = session.pins.change(need.repo, change).listing(said.commit)
    assert listing is not None
    wanted = listing.matching(need.patterns)
    return Locked(need.repo, need.revision, said.commit, wanted, pinned is None)


@dataclass(frozen=True)
class Written:
    """A manifest that names the commit now, or why it does not."""

    example: str
    repo: str
    commit: str
    problem: str = ""


def write_pin(example: Example, need: RepoNeed, commit: str) -> Written:
    """Put the commit into the manifest, as the revision of these weights."""
    done = Written(example.name, need.asked, commit)
    if example.source == CARRIED:
        return replace(done, problem="it came with cvl: copy the example to a folder of yours")
    path = example.folder / MANIFEST
    try:
        text = path.read_bytes().decode("utf-8")
        edited = with_revision(text, need.asked, commit)
        if edited != text:
            _check(example, edited)
            write_atomic(path, edited.encode(), mode=stat.S_IMODE(path.stat().st_mode))
    except (NoPlace, UnicodeDecodeError) as error:
        return replace(done, problem=str(error))
    except OSError as error:
        return replace(done, problem=f"{path} cannot be changed: {error.strerror}")
    return done


def _check(example: Example, text: str) -> None:
    """It says the same as before but for revisions. Raises NoPlace."""
    from cvl.core.validation import validate
    from cvl.core.yaml_source import parse
    from cvl.errors import ManifestError

    try:
        found = validate(parse(text.encode(), str(example.folder / MANIFEST)), example.name)
    except ManifestError as error:
        raise NoPlace(f"it would be wrong then: {error.message}") from None
    if _but_revisions(found) != _but_revisions(example.manifest):
        raise NoPlace("its revision: line cannot be told from others")


def _but_revisions(manifest: object) -> object:
    weights: Sequence[object] = getattr(manifest, "weights", ())
    plain = tuple(replace(entry, revision="") for entry in weights)  # type: ignore[type-var]
    return replace(manifest, weights=plain) if weights else manifest  # type: ignore[type-var]
