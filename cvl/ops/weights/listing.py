"""`cvl models list`: what examples use and what of it is here, what other programs keep in the same
cache, and what killed downloads left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvl.ops.session import Session
from cvl.ops.weights.using import Here, Used, Uses, here, is_spare, others_of
from cvl.store.hub_cache import hub_folder
from cvl.store.hub_survey import Leftover, RepoOnDisk, survey
from cvl.store.url_weights import UrlWeights


@dataclass(frozen=True)
class Listed:
    """Weights of one example; `also`: the other examples that use them; spare: only options ask
    for them, and nothing of them is here."""

    example: str
    used: Used
    here: Here
    also: tuple[str, ...]
    spare: bool


@dataclass(frozen=True)
class Overview:
    """hub: where the cache is; size: bytes of everything in it and in cvl's own store, each file
    once."""

    hub: Path
    listed: tuple[Listed, ...]
    others: tuple[RepoOnDisk, ...]
    leftovers: tuple[Leftover, ...]
    broken: tuple[str, ...]
    size: int


def overview(session: Session, uses: Uses) -> Overview:
    """Without a network, and without writing anything."""
    hub = hub_folder()
    found = survey(hub)
    store = UrlWeights(session.dirs.url_weights)
    leftovers = [leftover for repo in found for leftover in repo.leftovers] + store.parts()
    return Overview(
        hub=hub,
        listed=tuple(_listed(session, uses)),
        others=tuple(others_of(uses, found)),
        leftovers=tuple(leftovers),
        broken=uses.broken,
        size=size_of(found) + sum(store.all().values()),
    )


def _listed(session: Session, uses: Uses) -> list[Listed]:
    rows = []
    for used in uses.weights:
        state, spare = here(session, used), is_spare(session, uses, used)
        for example in used.examples:
            also = tuple(name for name in used.examples if name != example)
            rows.append(Listed(example, used, state, also, spare))
    return sorted(rows, key=lambda row: row.example)


def size_of(found: Iterable[RepoOnDisk]) -> int:
    """Bytes of repos together; what they share counts once."""
    shared: dict[str, int] = {}
    own = 0
    for repo in found:
        own += repo.size
        shared.update(repo.shared)
    return own + sum(shared.values())
