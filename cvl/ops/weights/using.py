"""Which examples within reach use which weights, and what of them is here. Reads only, without a
network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cvl.core.licensing import Part, Terms, license_of, parts_of, terms_of
from cvl.core.manifest import ModelManifest
from cvl.core.weights import total_size
from cvl.errors import CvlError
from cvl.ops.examples import Catalog
from cvl.ops.session import Session
from cvl.ops.weights.needs import Declared, Need, RepoNeed, UrlNeed, declared
from cvl.ops.weights.resolving import RepoFiles, peek
from cvl.store.hub_cache import CachedRepo, hub_folder
from cvl.store.hub_survey import RepoOnDisk
from cvl.store.url_weights import UrlWeights

GB = 10**9
OR = " or "
State = Literal["missing", "partial", "complete"]


@dataclass(frozen=True)
class Used:
    """Weights, and the examples that use them. size: bytes that a manifest says, 0 when it does
    not; gated: it says that the hub asks for terms to be accepted; tasks: of the examples;
    licenses: (example, what it says of its code and these weights); options: without which no
    example needs them, `--enhancer gfpgan`, empty where one does."""

    need: Need
    examples: tuple[str, ...] = ()
    size: int = 0
    gated: bool = False
    tasks: frozenset[str] = frozenset()
    licenses: tuple[tuple[str, Terms], ...] = ()
    options: str = ""

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
            used = [_used(name, manifest, one) for one in declared(manifest)]
        except (CvlError, OSError):
            broken.append(name)
            continue
        for one in used:
            found[one.need] = _joined(found[one.need], one) if one.need in found else one
    return Uses(tuple(found.values()), tuple(broken))


def _used(example: str, manifest: ModelManifest, one: Declared) -> Used:
    size = int((one.weights.size_gb or 0) * GB) or one.weights.size or 0
    terms = terms_of(manifest, parts_of(manifest, one.values))
    return Used(
        one.need, (example,), size, one.weights.gated, frozenset(manifest.tasks),
        ((example, terms),), one.options,
    )  # fmt: skip


def _joined(one: Used, other: Used) -> Used:
    """Two uses of the same; who needs it without options makes it needed without."""
    options = dict.fromkeys([*one.options.split(OR), other.options])
    return Used(
        one.need,
        tuple(dict.fromkeys((*one.examples, *other.examples))),
        max(one.size, other.size),
        one.gated or other.gated,
        one.tasks | other.tasks,
        tuple(dict.fromkeys((*one.licenses, *other.licenses))),
        "" if "" in options else OR.join(options),
    )


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
    """What of weights is here. present, needed: bytes, of which those of files that are damaged or
    in doubt are not present, but make the state partial; known: how much is needed is what the hub
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
        return _url_here(session, need)
    found = peek(session, need)
    lock = session.pins.of(need.repo)
    if found is None:
        there = _as_found(need)
        state: State = "partial" if there.wanted else "missing"
        return Here(state, total_size(there.wanted), used.size, False, there.commit)
    sizes = found.cached.sizes(found.commit, found.wanted)
    unsure = found.unsure(session)
    good = {p: f for p, f in found.wanted.items() if sizes.get(p) == f.size and p not in unsure}
    pin = lock.pins.get(need.revision)
    return Here(
        _state(whole=good.keys() == found.wanted.keys(), some=bool(sizes)),
        total_size(good), total_size(found.wanted), True, found.commit, pin.since if pin else None,
    )  # fmt: skip


def _url_here(session: Session, need: UrlNeed) -> Here:
    store = UrlWeights(session.dirs.url_weights)
    whole = store.find(need.sha256, need.size) is not None
    return Here(
        _state(whole=whole, some=store.begun(need.sha256)), need.size * whole, need.size, True
    )


def _state(*, whole: bool, some: bool) -> State:
    if not some:
        return "missing"
    return "complete" if whole else "partial"


def _as_found(need: RepoNeed) -> RepoFiles:
    """Another program may have some of it, and nobody noted what there should be."""
    cached = CachedRepo(hub_folder(), need.repo)
    commit = cached.commit_of(need.revision)
    listing = cached.as_found(commit) if commit else None
    return RepoFiles(need, commit, listing.matching(need.patterns) if listing else {})


def is_spare(session: Session, uses: Uses, used: Used) -> bool:
    """Do only options ask for these weights, and is nothing here that they alone bring? No plain
    run fetches them, so nobody misses them."""
    if not used.options:
        return False
    state = here(session, used).state
    if isinstance(used.need, UrlNeed) or state != "partial":
        return state == "missing"
    return not _own(session, uses, used, used.need)


def _own(session: Session, uses: Uses, used: Used, need: RepoNeed) -> dict[str, int]:
    """Files of weights that are here, and their bytes, without those that others brought: such as
    have the same files, and are needed anyway or here as a whole."""
    files = peek(session, need) or _as_found(need)
    own = set(files.wanted)
    for other in uses.of_repo(need.repo):
        brings = not other.options or here(session, other).state == "complete"
        if other != used and other.revision == need.revision and brings:
            assert isinstance(other.need, RepoNeed)
            own -= set((peek(session, other.need) or _as_found(other.need)).wanted)
    return files.cached.sizes(files.commit, own)


def names(examples: Iterable[str]) -> str:
    """`a, b`, or a dash."""
    return ", ".join(examples) or "-"
