"""`--commercial`: what no licence is known to allow is refused before anything is built, fetched or
started, and what does allow it is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cvl.core.given import having, running
from cvl.core.graph import used_by
from cvl.core.licensing import Part, parts_of, terms_of
from cvl.core.manifest import ModelManifest, PipelineManifest, Step
from cvl.core.references import parse_reference
from cvl.errors import CvlError, UserError
from cvl.ops.examples import Catalog, Example
from cvl.ops.items import Item
from cvl.ops.known import inner_values, known_items, known_value
from cvl.ops.request import Options, Request

if TYPE_CHECKING:
    from cvl.ops.node import Node

NAMED = 4
"""Repos, or examples, that a hint names at most."""


@dataclass(frozen=True)
class _Use:
    """An example that is to be used, with what is known of its inputs. step: its full name, empty
    for the outermost. flags: input -> the option of the command line that sets it. choices: what
    `flag` could name instead of it."""

    catalog: Catalog
    example: Example
    options: Options
    step: str
    values: Mapping[str, Any]
    overrides: Mapping[str, Mapping[str, Any]]
    flags: Mapping[str, str]
    flag: str = ""
    choices: tuple[str, ...] = ()


def check_commercial(catalog: Catalog, request: Request, values: Mapping[str, Any]) -> None:
    """Raise UserError for the first example that commercial use is not known to be allowed of, of
    those that the request uses as far as that is known yet. What takes over does so later."""
    example = request.example
    flags = {name: f"--{name.replace('_', '-')}" for name in example.manifest.inputs}
    _check(_Use(catalog, example, request.options, "", values, request.overrides, flags))


def check_node(node: Node) -> None:
    """The same where inputs are known that were not when the request was made, and of what may take
    over. Refuses nothing when it was not asked to."""
    if node.options.commercial:
        use = _Use(node.catalog, node.example, node.options, node.step, node.values, {}, {})
        _check(use)


def is_allowed(catalog: Catalog, name: str) -> bool:
    """Is commercial use of an example known to be allowed, as it comes?"""
    try:
        example = catalog.find(name)
        values = inner_values(example.manifest, {})
        refused = _refused(_Use(catalog, example, Options(), "", values, {}, {}))
        return next(refused, None) is None
    except CvlError:
        return False


def _check(use: _Use) -> None:
    for inner, manifest, bad in _refused(use):
        raise _refusal(inner, manifest, bad)


def _refused(use: _Use) -> Iterator[tuple[_Use, ModelManifest, Part]]:
    """What commercial use is not known to be allowed of, in the order in which it is used."""
    manifest = use.example.manifest
    if isinstance(manifest, ModelManifest):
        for part in _parts(use, manifest):
            if not part.commercial:
                yield use, manifest, part
        return
    for name, step in running(manifest, having(use.values)).steps.items():
        used = used_by(manifest, step, use.values)
        if len(used) > 1:
            continue  # an item says which one, and nobody knows it yet
        for item in known_items(step, use.values):
            yield from _refused(_inner(use, manifest, name, step, used[0], item))


def _inner(
    use: _Use, pipeline: PipelineManifest, name: str, step: Step, used: str, item: Item | None
) -> _Use:
    example = use.catalog.find(used)
    options = use.overrides.get(name, {})
    given = {key: known_value(value, step, use.values, item) for key, value in step.with_.items()}
    flags = {key: _flag(use, name, step, key) for key in example.manifest.inputs}
    full_name = f"{use.step}.{name}" if use.step else name
    choice = parse_reference(step.uses)
    return _Use(
        use.catalog,
        example,
        use.options,
        full_name if item is None else f"{full_name}.{item.index}",
        inner_values(example.manifest, {**given, **options}),
        {},
        flags,
        use.flags.get(choice[1], "") if choice else "",
        tuple(map(str, pipeline.inputs[choice[1]].choices)) if choice else (),
    )


def _flag(use: _Use, name: str, step: Step, key: str) -> str:
    """The option that decides an input of a step: of the pipeline, where it passes one on, else of
    the step, which those of the outermost pipeline have."""
    reference = parse_reference(step.with_.get(key))
    if reference and reference[0] == "inputs" and key not in use.overrides.get(name, {}):
        return use.flags.get(reference[1], "")
    return f"--{name}.{key}" if use.flags and not use.step else ""


def _parts(use: _Use, manifest: ModelManifest) -> list[Part]:
    loras = bool(use.options.loras)
    return parts_of(manifest, use.values, use.options.weights, loras=loras)


def _refusal(use: _Use, manifest: ModelManifest, bad: Part) -> UserError:
    who = manifest.name if use.step in ("", manifest.name) else f"{use.step} ({manifest.name})"
    chosen = f" with {bad.name}" if bad.name else ""
    verb = "is not known to allow" if bad.commercial is None else "does not allow"
    terms = terms_of(manifest, _parts(use, manifest))
    return UserError(
        f"{who}{chosen} {verb} commercial use: code {terms.code}, weights {terms.weights}",
        hint=_hint(use, manifest, bad),
        code="unknown_license" if bad.commercial is None else "not_commercial",
    )


def _hint(use: _Use, manifest: ModelManifest, bad: Part) -> str:
    """What to use instead; of what nobody knows, also who can judge."""
    instead = next(_instead(use, manifest, bad))
    if bad.commercial is None:
        return f"{instead}, or read its licence and give --no-commercial if it allows it"
    return instead


def _instead(use: _Use, manifest: ModelManifest, bad: Part) -> Iterator[str]:
    """Ways out, the one that changes least first."""
    if bad.name and not bad.chosen_by:
        yield f"leave out {bad.name}"
    flag = use.flags.get(bad.chosen_by, "")
    if flag and manifest.inputs[bad.chosen_by].default is None:
        yield f"leave out {flag}"
    models = list(_models(manifest, bad.chosen_by))
    if flag and models:
        yield f"give {flag} {' or '.join(models[:NAMED])}"
    others = [name for name in use.choices if is_allowed(use.catalog, name)]
    if use.flag and others:
        yield f"give {use.flag} {' or '.join(others)}"
    same = list(_of_the_same_task(use, manifest))
    if same:
        yield f"use {' or '.join(same[:NAMED])}: the same task, and commercial use allowed"
    yield "no example within reach does the same task and allows it"


def _models(manifest: ModelManifest, field: str) -> Iterator[str]:
    """Repos that an input may name and that are known to allow it, the default first."""
    if field and manifest.license.commercial:
        yield str(manifest.inputs[field].default)
    yield from (name for name, license in manifest.license.models.items() if license.commercial)


def _of_the_same_task(use: _Use, manifest: ModelManifest) -> Iterator[str]:
    for name in sorted(use.catalog.examples):
        try:
            other = use.catalog.examples[name].manifest
        except (CvlError, OSError):
            continue
        same = isinstance(other, ModelManifest) and {*other.tasks} & {*manifest.tasks}
        if same and name != manifest.name and is_allowed(use.catalog, name):
            yield name
