"""Weights by what a person says: the name of an example, of a repo, or a word that is part of the
name of a repo or of the tasks of an example."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cvl.core.names import canonical, nearest
from cvl.core.weights import REPO, known_as
from cvl.errors import UserError
from cvl.ops.examples import Catalog
from cvl.ops.request import models_of
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed, UrlNeed
from cvl.ops.weights.using import Used, Uses, is_spare, others_of
from cvl.store.hub_survey import RepoOnDisk

LEAST = 3
"""Letters of a word that stands for a kind: fewer are part of anything."""


@dataclass(frozen=True)
class Selected:
    """Weights of examples, and repos in the cache that no example uses. by_example: named as those
    of an example, which others may use too; named: optional ones that a word stands for alone;
    spare: optional ones that were left out."""

    weights: tuple[Used, ...]
    others: tuple[RepoOnDisk, ...]
    by_example: frozenset[Used] = frozenset()
    named: frozenset[Used] = frozenset()
    spare: tuple[Used, ...] = ()


def everything(uses: Uses) -> Selected:
    """All that examples within reach use."""
    return Selected(uses.weights, ())


def without_spare(session: Session, uses: Uses, selected: Selected) -> Selected:
    """Weights that only options ask for count once something of them is here, or when they were
    named themselves."""
    spare = tuple(
        used
        for used in selected.weights
        if used not in selected.named and is_spare(session, uses, used)
    )
    weights = tuple(used for used in selected.weights if used not in spare)
    return replace(selected, weights=weights, spare=spare)


def select(
    catalog: Catalog, uses: Uses, found: Sequence[RepoOnDisk], words: Iterable[str]
) -> Selected:
    """UserError for a word that means nothing here."""
    others = others_of(uses, found)
    weights: dict[Used, None] = {}
    repos: dict[str, RepoOnDisk] = {}
    by_example: set[Used] = set()
    by_name: set[Used] = set()
    optional: set[Used] = set()
    for word in words:
        of_example = _of_example(catalog, uses, word)
        named = [used for used in uses.weights if _is_name(used, word)] or [
            used for used in uses.weights if not of_example and _is_kind(used, word)
        ]
        there = [repo for repo in others if repo.repo.lower() == word.lower()]
        if not there and not of_example and not any(_is_name(used, word) for used in named):
            there = [repo for repo in others if _within(word, [repo.repo])]
        if of_example is None and not named and not there:
            raise _unknown(catalog, uses, others, word)
        weights.update(dict.fromkeys([*(of_example or ()), *named]))
        by_example.update(of_example or ())
        by_name.update(named)
        optional.update(named if all(used.options for used in named) else ())
        repos.update((repo.folder, repo) for repo in there)
    return Selected(
        tuple(weights), tuple(repos.values()), frozenset(by_example - by_name), frozenset(optional)
    )


def _of_example(catalog: Catalog, uses: Uses, word: str) -> list[Used] | None:
    """Those of a model, or of every model that a pipeline may use; None for no example."""
    example = catalog.examples.get(canonical(word)) or catalog.examples.get(word)
    if example is None:
        return None
    models = {model.name for model in models_of(catalog, example.manifest)}
    return [used for used in uses.weights if models & set(used.examples)]


def _is_name(used: Used, word: str) -> bool:
    need, wanted = used.need, word.lower()
    if isinstance(need, UrlNeed):
        return wanted == need.name.lower() or word == need.url
    return wanted in (need.asked.lower(), need.repo.lower(), known_as(need.asked).lower())


def _is_kind(used: Used, word: str) -> bool:
    """`stable-diffusion` means every repo that is called so, `text-to-video` every one of a
    task."""
    return _within(word, [used.name, *used.tasks])


def _within(word: str, texts: Iterable[str]) -> bool:
    return len(word) >= LEAST and any(word.lower() in text.lower() for text in texts)


def words_for(catalog: Catalog, uses: Uses, others: Iterable[RepoOnDisk]) -> dict[str, str]:
    """Word -> what it stands for: examples with weights, then repos."""
    examples = {name for used in uses.weights for name in used.examples}
    found = {name: f"example, {catalog.examples[name].source}" for name in sorted(examples)}
    found.update((used.name, f"used by {', '.join(used.examples)}") for used in uses.weights)
    found.update((repo.repo, "other programs") for repo in others if repo.kind == "model")
    return found


def _unknown(catalog: Catalog, uses: Uses, others: Sequence[RepoOnDisk], word: str) -> UserError:
    known = {name: name for name in [*words_for(catalog, uses, others), *catalog.examples]}
    known.update({name.rpartition("/")[2]: name for name in list(known)})
    close = nearest(word, known)
    hint = f"did you mean {known[close]}?" if close else "cvl models list shows what there is"
    return UserError(f"nothing here is called {word!r}", hint=hint, code="unknown_weights")


def repo_named(word: str, revision: str, patterns: tuple[str, ...]) -> Used:
    """A repo that needs no example to be pulled; UserError for what is no repo's name."""
    if not REPO.fullmatch(word):
        raise UserError(
            f"{word!r} is no repo of the Hugging Face hub",
            hint="a repo is called ORG/NAME; cvl models list shows the examples' weights",
            code="unknown_weights",
        )
    return Used(RepoNeed(word, known_as(word), revision, patterns, format="other"))
