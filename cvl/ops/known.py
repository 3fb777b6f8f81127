"""Values of a pipeline's steps that are known before anything runs: literals, the pipeline's own
inputs, and options of steps. A wrong one is refused with the other bad inputs, not at its step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from cvl.core.graph import used_by
from cvl.core.inputs import coerce
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest, Step
from cvl.core.names import did_you_mean
from cvl.core.redaction import given_secrets
from cvl.core.references import parse_reference
from cvl.errors import InputError
from cvl.ops.examples import Catalog, Example
from cvl.ops.items import Item, items_of
from cvl.store.staging import CheckedFile, open_files


def check_steps(
    catalog: Catalog,
    pipeline: PipelineManifest,
    values: Mapping[str, Any],
    overrides: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The options of steps as values, under `step.input`. Raises InputError for the first known
    value that its step would refuse."""
    options: dict[str, Any] = {}
    for name in overrides:
        if name not in pipeline.steps:
            raise InputError(
                f"{pipeline.name} has no step {name!r}",
                hint=did_you_mean(name, pipeline.steps, "--"),
                code="unknown_step",
            )
    for name, step in pipeline.steps.items():
        used = used_by(pipeline, step, values)
        if len(used) > 1:
            continue  # an item says which one
        example = catalog.find(used[0])
        for item in known_items(step, values):
            try:
                options |= _check_item(catalog, example, name, step, values, overrides, item)
            except InputError as error:
                raise (error if item is None else item.named(error, name)) from None
    return options


def _check_item(
    catalog: Catalog,
    example: Example,
    name: str,
    step: Step,
    values: Mapping[str, Any],
    overrides: Mapping[str, Mapping[str, Any]],
    item: Item | None,
) -> dict[str, Any]:
    given = {key: known_value(value, step, values, item) for key, value in step.with_.items()}
    options = overrides.get(name, {})
    checked = _check_step(name, example.manifest, given, options)
    if isinstance(example.manifest, ModelManifest):
        given_secrets(example.manifest.secrets, os.environ)
    if isinstance(example.manifest, PipelineManifest):
        inner = inner_values(example.manifest, {**given, **options})
        check_steps(catalog, example.manifest, inner, {})
    return checked


def known_items(step: Step, values: Mapping[str, Any]) -> Sequence[Item | None]:
    """The items of a foreach; one None where there is none, or nobody knows them yet."""
    source = next(iter(step.foreach.values()), None)
    value = known_value(source, step, values)
    return [None] if source is None or value is None else items_of(source, value)


def known_value(value: Any, step: Step, values: Mapping[str, Any], item: Item | None = None) -> Any:
    """The value behind a reference to an input or to an item; None for what a step has yet to
    make."""
    reference = parse_reference(value)
    if reference is None:
        return None if isinstance(value, list) else value
    source, field = reference
    if source in step.foreach:
        return None if item is None else item.field(field)
    return values.get(field) if source == "inputs" else None


def inner_values(manifest: Manifest, given: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of an example that a step uses, as far as they are known; None for the others. A
    default stands for what is not given, not for what is not known yet."""
    return {name: given.get(name, spec.default) for name, spec in manifest.inputs.items()}


def _check_step(
    step: str, manifest: Manifest, given: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    for key, value in given.items():
        items = value if isinstance(value, list) else [value]
        if value is None or any(isinstance(item, CheckedFile) for item in items):
            continue
        coerce(key, manifest.inputs[key], value)
    checked: dict[str, Any] = {}
    for key, value in options.items():
        spec = manifest.inputs.get(key)
        if spec is None:
            raise InputError(
                f"{manifest.name} has no input --{key}",
                hint=did_you_mean(key, manifest.inputs, f"--{step}."),
                code="unknown_input",
            )
        name = f"{step}.{key}"
        checked[name] = open_files(name, spec, coerce(name, spec, value))
    return checked
