"""`cvl models rm` and `prune`: found with its size first, removed second, and never what somebody
uses. Deleting from the hub cache is left to its own library."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cvl.core.weights import COMMIT
from cvl.errors import CvlError
from cvl.hub.messages import Delete
from cvl.hub.remote import Listener, ask
from cvl.machine.open_files import open_files
from cvl.ops.session import Session
from cvl.ops.weights.in_use import unused
from cvl.ops.weights.needs import RepoNeed, UrlNeed
from cvl.ops.weights.selecting import Selected
from cvl.ops.weights.using import Used, Uses
from cvl.store.hub_cache import folder_of, hub_folder
from cvl.store.hub_survey import Leftover, RepoOnDisk, survey
from cvl.store.locks import FileLock
from cvl.store.url_weights import PART, UrlWeights

YOUNG_S = 600.0
"""What was changed so shortly ago may be a download of another program that goes on."""
Kind = Literal["repo", "revision", "leftover", "url"]


@dataclass(frozen=True)
class Removal:
    """Something to remove. name: of a repo `ORG/NAME`, with `@COMMIT` for a revision, a file for
    the rest; place: where it is; folder: of the repo, empty for what is in our own store; size in
    bytes, of which those that other repos share are none; users: examples that need it; note: why
    it was left alone."""

    kind: Kind
    name: str
    size: int
    why: str
    place: Path
    folder: str = ""
    commit: str = ""
    users: tuple[str, ...] = ()
    removed: bool = False
    note: str = ""

    @property
    def repo_place(self) -> Path:
        """The folder of its repo, which is what a lease is on."""
        ups = {"repo": 0, "revision": 2, "leftover": 2}
        return self.place.parents[ups[self.kind] - 1] if ups[self.kind] else self.place


@dataclass(frozen=True)
class Planned:
    """notes: what was left alone, and why."""

    removals: tuple[Removal, ...]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(removal.size for removal in self.removals)


def plan_rm(session: Session, selected: Selected, uses: Uses) -> Planned:
    """Whole repos, and files from URLs. What another example needs too stays, unless the weights
    themselves were named."""
    found = {repo.folder: repo for repo in survey(hub_folder())}
    notes: list[str] = []
    removals: dict[str, Removal] = {}
    for used in selected.weights:
        users = _users(uses, used)
        if used in selected.by_example and len(users) > 1:
            notes.append(f"{used.name}: {', '.join(users)} need it; name it to remove it")
            continue
        removal = _of_used(session, found, used, users)
        if removal is not None:
            removals[removal.name] = removal
    for repo in selected.others:
        removals[repo.folder] = _of_repo(repo, found.values(), (), "named; no example uses it")
    return Planned(tuple(removals.values()), tuple(notes))


def _users(uses: Uses, used: Used) -> tuple[str, ...]:
    """All examples that need something of the same repo, or the same file."""
    if isinstance(used.need, UrlNeed):
        same = [u for u in uses.weights if isinstance(u.need, UrlNeed)]
        same = [u for u in same if getattr(u.need, "sha256", "") == used.need.sha256]
    else:
        same = list(uses.of_repo(used.need.repo))
    return tuple(sorted({name for one in same for name in one.examples}))


def _of_used(
    session: Session, found: dict[str, RepoOnDisk], used: Used, users: tuple[str, ...]
) -> Removal | None:
    """None when nothing of it is here."""
    again = f" with {used.options}" if used.options else ""
    why = f"named; {', '.join(users)} would fetch it again{again}"
    if isinstance(used.need, RepoNeed):
        repo = found.get(folder_of(used.need.repo))
        return _of_repo(repo, found.values(), users, why) if repo else None
    place = UrlWeights(session.dirs.url_weights).place(used.need.sha256)
    if not place.exists():
        return None
    return Removal("url", used.name, place.stat().st_size, why, place, users=users)


def _of_repo(
    repo: RepoOnDisk, found: Iterable[RepoOnDisk], users: tuple[str, ...], why: str
) -> Removal:
    links = _links(found)
    size = repo.size + sum(n for path, n in repo.shared.items() if links[path] == 1)
    name = repo.repo if repo.kind == "model" else f"{repo.kind}s/{repo.repo}"
    return Removal("repo", name, size, why, repo.path, repo.folder, users=users)


def _links(found: Iterable[RepoOnDisk]) -> Counter[str]:
    """File of the shared store -> how many repos have it."""
    return Counter(path for repo in found for path in repo.shared)


def plan_prune(session: Session, uses: Uses) -> Planned:
    """Revisions that nothing names, what killed downloads left, files from URLs that no example
    within reach names."""
    named = {used.revision for used in uses.weights if COMMIT.fullmatch(used.revision)}
    removals, notes = _of_hub(session, named)
    store = UrlWeights(session.dirs.url_weights)
    for part in store.parts():
        _add_leftover(removals, notes, part, "")
    removals += _unnamed_urls(store, uses, notes)
    return Planned(tuple(removals), tuple(notes))


def prunable(session: Session) -> int:
    """Bytes that a prune would surely free, whatever examples are within reach."""
    return sum(removal.size for removal in _of_hub(session, set(), every_known=True)[0])


def _of_hub(
    session: Session, named: set[str], *, every_known: bool = False
) -> tuple[list[Removal], list[str]]:
    found = survey(hub_folder())
    removals: list[Removal] = []
    notes: list[str] = []
    for repo in found:
        removals += _detached(session, repo, found, named, every_known=every_known)
        for leftover in repo.leftovers:
            _add_leftover(removals, notes, leftover, repo.folder)
    return removals, notes


def _detached(
    session: Session,
    repo: RepoOnDisk,
    found: Sequence[RepoOnDisk],
    named: set[str],
    *,
    every_known: bool,
) -> Iterator[Removal]:
    """Commits that no branch or tag of the cache, no pin and no manifest names."""
    lock = session.pins.of(repo.repo) if repo.kind == "model" else None
    kept = {*named, *repo.refs().values()}
    if lock:
        kept |= {pin.commit for pin in lock.pins.values()}
        kept |= set(lock.files) if every_known else set()
    commits = repo.commits
    loose = [commit for commit in commits if commit not in kept and _is_old(repo, commit)]
    if not loose:
        return
    blobs = {commit: repo.blobs_of(commit) for commit in commits}
    links = _links(found)
    for commit in loose:
        others = {b for other in commits if other != commit for b in blobs[other]}
        size = sum(
            n for blob, n in blobs[commit].items()
            if blob not in others and links[os.path.realpath(blob)] <= 1
        )  # fmt: skip
        why = "no branch, tag, pin or example names it"
        name = f"{repo.repo}@{commit}"
        place = repo.path / "snapshots" / commit
        yield Removal("revision", name, size, why, place, repo.folder, commit)


def _is_old(repo: RepoOnDisk, commit: str) -> bool:
    """A download notes the names of its commit last."""
    try:
        changed = (repo.path / "snapshots" / commit).stat().st_mtime
    except OSError:
        return False
    return time.time() - changed > YOUNG_S


def _add_leftover(
    removals: list[Removal], notes: list[str], leftover: Leftover, folder: str
) -> None:
    if time.time() - leftover.changed < YOUNG_S:
        notes.append(f"{leftover.name} was written to just now")
        return
    why = "left by a download that was killed"
    removals.append(Removal("leftover", leftover.name, leftover.size, why, leftover.path, folder))


def _unnamed_urls(store: UrlWeights, uses: Uses, notes: list[str]) -> list[Removal]:
    named = {used.need.sha256 for used in uses.weights if isinstance(used.need, UrlNeed)}
    unnamed = {sha256: size for sha256, size in store.all().items() if sha256 not in named}
    if unnamed and uses.broken:
        shown = ", ".join(uses.broken)
        notes.append(f"files from URLs: {shown} may need them, and cannot be read")
        return []
    why = "no example within reach names it"
    return [Removal("url", s, size, why, store.place(s)) for s, size in unnamed.items()]


def carry_out(session: Session, planned: Planned) -> Planned:
    """Remove what was planned and is not used; the rest says by whom it is."""
    ours = [removal for removal in planned.removals if not removal.folder]
    done = {removal: _try(session, removal) for removal in ours}
    theirs = [removal for removal in planned.removals if removal.folder]
    done.update(_from_hub(session, theirs))
    return Planned(tuple(done[removal] for removal in planned.removals), planned.notes)


def _from_hub(session: Session, removals: Sequence[Removal]) -> dict[Removal, Removal]:
    """All leases first, then one request to the library."""
    notes: dict[Removal, str] = {}
    with ExitStack() as stack:
        users: dict[Path, str] = {}
        for removal in removals:
            place = removal.repo_place
            if place not in users:
                users[place] = stack.enter_context(unused(session, place))
            notes[removal] = _reason(session, removal, users[place])
        free = [removal for removal in removals if not notes[removal]]
        if free:
            try:
                # A Ctrl-C waits for the end: a revision that is half gone is of no use to anybody.
                for _ in ask(_request(free), Listener(lambda seconds: None)):
                    continue
            except CvlError as error:
                notes.update(dict.fromkeys(free, error.message))
        for removal in free:
            notes[removal] = notes[removal] or _left(removal)
    return {removal: _ended(removal, note) for removal, note in notes.items()}


def _reason(session: Session, removal: Removal, user: str) -> str:
    """Why something stays, by what is so now: somebody may have begun to use it since it was
    found."""
    if user:
        return f"in use by {user}"
    if removal.kind == "leftover" and str(removal.place) in open_files():
        return "a process has it open"
    if removal.kind == "revision":
        repo = RepoOnDisk(removal.folder, removal.repo_place)
        pins = session.pins.of(repo.repo).pins.values() if repo.kind == "model" else ()
        if removal.commit in {*repo.refs().values(), *(pin.commit for pin in pins)}:
            return "it has a name again"
    return ""


def _request(removals: Sequence[Removal]) -> Delete:
    return Delete(
        revisions=tuple((r.folder, r.commit) for r in removals if r.kind == "revision"),
        repos=tuple(r.folder for r in removals if r.kind == "repo"),
        leftovers=tuple(r.name for r in removals if r.kind == "leftover"),
    )


def _left(removal: Removal) -> str:
    return "huggingface_hub could not remove it" if removal.place.exists() else ""


def _ended(removal: Removal, note: str) -> Removal:
    return replace(removal, removed=not note, note=note)


def _try(session: Session, removal: Removal) -> Removal:
    """Of our own store."""
    session.cancel.check()
    try:
        note = (_part if removal.kind == "leftover" else _file)(session, removal)
    except (CvlError, OSError) as error:
        note = str(error)
    return _ended(removal, note)


def _part(session: Session, removal: Removal) -> str:
    """The lock says whether somebody writes."""
    sha256 = removal.place.name.removeprefix(".").removesuffix(PART)
    lock = FileLock(session.lock_path("weights", sha256))
    if not lock.try_acquire():
        return "it is being downloaded"
    try:
        removal.place.unlink(missing_ok=True)
    finally:
        lock.release()
    return ""


def _file(session: Session, removal: Removal) -> str:
    with unused(session, removal.place) as user:
        if user:
            return f"in use by {user}"
        removal.place.unlink(missing_ok=True)
    return ""
