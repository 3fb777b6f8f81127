"""Licences of a step: of its code, and of the weights that its inputs choose, as far as its
manifest knows them. What it does not know is unknown, and never taken for allowed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvl.core.manifest import License, ModelLicense, ModelManifest, Weights
from cvl.core.references import parse_reference
from cvl.core.weights import is_asked_for, known_as, url_name

UNKNOWN = "unknown"
_USE = {
    True: "commercial use allowed",
    False: "no commercial use",
    None: "commercial use not known to be allowed",
}


@dataclass(frozen=True)
class Terms:
    """Licences of code and weights that are used together. commercial: whether that may be
    commercial use, None when nobody here knows."""

    code: str
    weights: str
    commercial: bool | None

    def __str__(self) -> str:
        return f"code {self.code}, weights {self.weights}, {use_of(self.commercial)}"


def use_of(commercial: bool | None) -> str:
    """In words, whether commercial use is allowed."""
    return _USE[commercial]


@dataclass(frozen=True)
class Part:
    """Weights under one licence; None when nobody here knows it. name: of those that are not the
    manifest's own: a repo, or the option that brought them. chosen_by: the input that says so."""

    license: ModelLicense | None
    name: str = ""
    chosen_by: str = ""

    @property
    def commercial(self) -> bool | None:
        return None if self.license is None else self.license.commercial


def parts_of(
    manifest: ModelManifest,
    values: Mapping[str, Any],
    own: Collection[str] = (),
    *,
    loras: bool = False,
) -> list[Part]:
    """What the weights of a model with these inputs are made of. own: names of weights that the
    user has put files of their own in the place of; loras: there are some of theirs too."""
    found = [_part(manifest, weights, values, own) for weights in manifest.weights]
    parts = [part for part in found if part is not None] or [Part(_stated(manifest))]
    return [*parts, Part(None, "--lora")] if loras and manifest.loras else parts


def terms_of(manifest: ModelManifest, parts: Sequence[Part] = ()) -> Terms:
    """All of it together: what one part does not allow is not allowed. Without parts, as the
    manifest comes."""
    parts = parts or [Part(_stated(manifest))]
    names = dict.fromkeys(part.license.weights if part.license else UNKNOWN for part in parts)
    uses = [part.commercial for part in parts]
    commercial = False if False in uses else None if None in uses else True
    return Terms(manifest.license.code, " and ".join(names), commercial)


def license_of(manifest: ModelManifest, repo: str) -> ModelLicense | None:
    """Of a repo that an input may name; None when the manifest does not know it."""
    listed = {known_as(name): license for name, license in manifest.license.models.items()}
    return listed.get(known_as(repo))


def _stated(manifest: ModelManifest) -> ModelLicense:
    """What it says of itself. Where there are weights, `none` says nothing of them."""
    stated = manifest.license
    silent = manifest.weights and stated.weights == License("").weights
    return ModelLicense(UNKNOWN if silent else stated.weights, stated.commercial)


def _part(
    manifest: ModelManifest, weights: Weights, values: Mapping[str, Any], own: Collection[str]
) -> Part | None:
    """None for a repo that an input could name, and does not or not yet, and for weights that the
    inputs do not ask for."""
    reference = parse_reference(weights.repo)
    field = reference[1] if reference else ""
    name = str(values.get(field) or "") if field else weights.repo or url_name(weights)
    if not name or not is_asked_for(weights, values):
        return None
    if name in own:
        return Part(None, f"--weights {name}")
    if weights.license is not None:
        return Part(weights.license)
    if not field or known_as(name) == known_as(str(manifest.inputs[field].default)):
        return Part(_stated(manifest))
    return Part(license_of(manifest, name), name, field)
