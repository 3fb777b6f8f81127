"""Which weights a model needs, by name: from its manifest and the inputs that choose among them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvl.core.manifest import ModelManifest, Weights
from cvl.core.names import as_option
from cvl.core.pipeline_files import WORD as PIPELINE
from cvl.core.pipeline_files import is_pipeline, variant_of
from cvl.core.references import parse_reference
from cvl.core.weights import REPO, is_asked_for, known_as, url_name
from cvl.errors import InputError


@dataclass(frozen=True)
class RepoNeed:
    """Files of a repo. asked: the name that the example uses; repo: the one that the hub has."""

    asked: str
    repo: str
    revision: str
    patterns: tuple[str, ...]
    format: str
    """As the manifest says; loading `pickle` runs what is in it."""

    @property
    def pickled(self) -> bool:
        return self.format == "pickle"


@dataclass(frozen=True)
class UrlNeed:
    """A file behind a URL; `name` is what the example finds it under."""

    name: str
    url: str
    sha256: str
    size: int
    format: str

    @property
    def pickled(self) -> bool:
        return self.format == "pickle"


Need = RepoNeed | UrlNeed


def needs_of(manifest: ModelManifest, values: Mapping[str, Any]) -> list[Need]:
    """The weights of a model with these inputs; those that an input names which is not known yet
    are left out. InputError when it names no repo."""
    return [need for _, need in entries_of(manifest, values)]


@dataclass(frozen=True)
class Declared:
    """Weights that a manifest names by itself. values: inputs that ask for them, the defaults as
    far as these do; options: the others as one types them, empty where the defaults ask."""

    weights: Weights
    need: Need
    values: Mapping[str, Any]
    options: str


def declared(manifest: ModelManifest) -> list[Declared]:
    """All of them, whatever has to be chosen for that."""
    defaults = {name: spec.default for name, spec in manifest.inputs.items()}
    found = []
    for weights in manifest.weights:
        values = {**defaults, **weights.when}
        if _is_needed(weights, values):
            chosen = [(n, v) for n, v in weights.when.items() if defaults.get(n) != v]
            options = " ".join(f"{as_option(name)} {shlex.quote(v)}" for name, v in chosen)
            found.append(Declared(weights, _need(weights, values), values, options))
    return found


def entries_of(manifest: ModelManifest, values: Mapping[str, Any]) -> list[tuple[Weights, Need]]:
    """Of the manifest, those that are needed with these inputs. Several may be of one repo: files
    of it that are needed with other inputs."""
    return [
        (weights, _need(weights, values))
        for weights in manifest.weights
        if _is_needed(weights, values)
    ]


def _is_needed(weights: Weights, values: Mapping[str, Any]) -> bool:
    return is_asked_for(weights, values) and bool(weights.url or _repo(weights, values))


def _need(weights: Weights, values: Mapping[str, Any]) -> Need:
    if weights.url:
        name = url_name(weights)
        return UrlNeed(name, weights.url, weights.sha256, weights.size or 0, weights.format)
    asked = _repo(weights, values)
    if not REPO.fullmatch(asked):
        raise InputError(
            f"{asked!r} is no repo of the Hugging Face hub", hint="it is called ORG/NAME"
        )
    patterns = tuple(_pattern(pattern, values) for pattern in weights.files)
    return RepoNeed(asked, known_as(asked), weights.revision, patterns, weights.format)


def _pattern(pattern: str, values: Mapping[str, Any]) -> str:
    """With the variant that an input says; without one when it says none."""
    reference = parse_reference(variant_of(pattern)) if is_pipeline(pattern) else None
    if reference is None:
        return pattern
    variant = str(values.get(reference[1]) or "")
    return f"{PIPELINE}:{variant}" if variant else PIPELINE


def _repo(weights: Weights, values: Mapping[str, Any]) -> str:
    """A repo by its name, or the one that an input says: `${inputs.model}`."""
    reference = parse_reference(weights.repo)
    if reference is None:
        return weights.repo
    return str(values.get(reference[1]) or "")
