"""Which examples within reach use which weights, and what of them is here. Reads only, without a
network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cvl.core.licensing import Part, Terms, license_of, terms_of
from cvl.core.manifest import ModelManifest
from cvl.core.weights import RepoFile, total_size
from cvl.errors import CvlError
from cvl.ops.examples import Catalog
from cvl.ops.session import Session
from cvl.ops.weights.needs import Need, RepoNeed, UrlNeed, declared
from cvl.ops.weights.resolving import peek
from cvl.store.hub_cache import CachedRepo, hub_folder
from cvl.store.hub_survey import RepoOnDisk
from cvl.store.pins import RepoLock
from cvl.store.url_weights import UrlWeights

GB = 10**9
State = Literal["missing", "partial", "complete"]


@dataclass(frozen=True)
class Used:
    """Weights, and the examples that use them. size: bytes that a manifest says, 0 when it does
    not; gated: it says that the hub asks for terms to be accepted; tasks: of the examples;
    licenses: (example, what it says of its code and these weights)."""

    need: Need
    examples: tuple[str, ...] = ()
    size: int = 0
    gated: bool = False
    tasks: frozenset[str] = frozenset()
    licenses: tuple[tuple[str, Terms], ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.need)

    @property
    def revision(self) -> str:
        return self.need.revision if isinstance(self.need, RepoNeed) else ""


def name_of(need: Need) -> str:
    """What a person calls weights by."""
    return need.asked if isinstance(need, RepoNeed) else need.name


@dataclass(frozen=True)
class Uses:
    """All weights of examples within reach, equal needs as one; and the examples whose manifests
    cannot be read, of which nobody knows what they use."""

    weights: tuple[Used, ...]
    broken: tuple[str, ...]

    def of_repo(self, repo: str) -> Iterator[Used]:
        """Those from a repo of the hub, by the name that it has there."""
        for used in self.weights:
            if isinstance(used.need, RepoNeed) and used.need.repo == repo:
                yield used


def uses_of(catalog: Catalog) -> Uses:
    """By the names of the examples."""
    found: dict[Need, Used] = {}
    broken: list[str] = []
    for name in sorted(catalog.examples):
        try:
            manifest = catalog.examples[name].manifest
            if not isinstance(manifest, ModelManifest):
                continue
            pairs = declared(manifest)
        except (CvlError, OSError):
            broken.append(name)
            continue
        for weights, need in pairs:
            size = int((weights.size_gb or 0) * GB) or weights.size or 0
            before = found.get(need, Used(need))
            terms = (name, terms_of(manifest))
            found[need] = replace(
                before,
                examples=(*before.examples, name)
                if name not in before.examples
                else before.examples,
                size=max(before.size, size),
                gated=before.gated or weights.gated,
                tasks=before.tasks | {*manifest.tasks},
                licenses=tuple(dict.fromkeys((*before.licenses, terms))),
            )
    return Uses(tuple(found.values()), tuple(broken))


def licenses_of(catalog: Catalog, repo: str) -> tuple[tuple[str, Terms], ...]:
    """What examples say of a repo that their inputs may name: (example, of its code and this)."""
    found = []
    for name in sorted(catalog.examples):
        try:
            manifest = catalog.examples[name].manifest
        except (CvlError, OSError):
            continue
        if not isinstance(manifest, ModelManifest):
            continue
        license = license_of(manifest, repo)
        if license is not None:
            found.append((name, terms_of(manifest, [Part(license)])))
    return tuple(found)


def others_of(uses: Uses, found: Sequence[RepoOnDisk]) -> list[RepoOnDisk]:
    """Repos that no example within reach uses."""
    used = {w.need.repo for w in uses.weights if isinstance(w.need, RepoNeed)}
    return [repo for repo in found if repo.kind != "model" or repo.repo not in used]


@dataclass(frozen=True)
class Here:
    """What of weights is here. present, needed: bytes; known: how much is needed is what the hub
    or the lock says, not what a manifest guesses."""

    state: State
    present: int
    needed: int
    known: bool
    commit: str = ""
    since: float | None = None


def here(session: Session, used: Used) -> Here:
    """By sizes; what the files hold is not looked at."""
    need = used.need
    if isinstance(need, UrlNeed):
        there = UrlWeights(session.dirs.url_weights).find(need.sha256, need.size) is not None
        return Here("complete" if there else "missing", need.size * there, need.size, True)
    found = peek(session, need)
    lock = session.pins.of(need.repo)
    if found is None:
        return _unlisted(need, used.size)
    good = present(lock, found.cached, found.commit, found.wanted)
    pin = lock.pins.get(need.revision)
    return Here(
        _state(len(good), len(found.wanted)), total_size(good), total_size(found.wanted), True,
        found.commit, pin.since if pin else None,
    )  # fmt: skip


def present(
    lock: RepoLock, cached: CachedRepo, commit: str, wanted: dict[str, RepoFile]
) -> dict[str, RepoFile]:
    """Files with their size, of which nobody doubts what they hold."""
    sizes = cached.sizes(commit, wanted)
    unsure = set(lock.incoming.get(commit, ()))
    return {p: f for p, f in wanted.items() if sizes.get(p) == f.size and p not in unsure}


def _state(good: int, wanted: int) -> State:
    if good == wanted:
        return "complete"
    return "partial" if good else "missing"


def _unlisted(need: RepoNeed, guessed: int) -> Here:
    """Another program may have some of it, and nobody noted what there should be."""
    cached = CachedRepo(hub_folder(), need.repo)
    commit = cached.commit_of(need.revision)
    listing = cached.as_found(commit) if commit else None
    found = listing.matching(need.patterns) if listing else {}
    return Here("partial" if found else "missing", total_size(found), guessed, False, commit)


def names(examples: Iterable[str]) -> str:
    """`a, b`, or a dash."""
    return ", ".join(examples) or "-"
