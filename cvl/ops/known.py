"""Values of a pipeline's steps that are known before anything runs: literals, the pipeline's own
inputs, and options of steps. A wrong one is refused with the other bad inputs, not at its step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvl.core.given import (
    Called,
    Names,
    check_needs,
    check_whole,
    having,
    inner_has,
    refuse_idle,
    refuse_options,
    running,
)
from cvl.core.graph import used_by
from cvl.core.inputs import coerce
from cvl.core.manifest import InputSpec, Manifest, ModelManifest, PipelineManifest, Step
from cvl.core.names import did_you_mean
from cvl.core.redaction import given_secrets
from cvl.core.references import parse_reference
from cvl.errors import InputError
from cvl.ops.examples import Catalog, Example
from cvl.ops.items import Item, items_of
from cvl.store.staging import CheckedFile, check_file, open_files


@dataclass(frozen=True)
class _Asked:
    """A pipeline with the values of its inputs that are known, and the names of all that will have
    one. called: what the user calls them."""

    catalog: Catalog
    pipeline: PipelineManifest
    values: Mapping[str, Any]
    has: Names
    called: Called

    def lookup(self, name: str) -> Manifest:
        return self.catalog.find(name).manifest


def check_steps(
    catalog: Catalog,
    pipeline: PipelineManifest,
    values: Mapping[str, Any],
    overrides: Mapping[str, Mapping[str, Any]],
    named: Names = frozenset(),
) -> dict[str, Any]:
    """The options of steps as values, under `step.input`; `named`: inputs that the user gave.

    Raises InputError for the first known value that its step would refuse, for what a step that
    runs lacks, and for what only steps that do not run would take.
    """
    for name in overrides:
        if name not in pipeline.steps:
            raise InputError(
                f"{pipeline.name} has no step {name!r}",
                hint=did_you_mean(name, pipeline.steps, "--"),
                code="unknown_step",
            )
    asked = _Asked(catalog, pipeline, values, having(values), str)
    return _check_pipeline(asked, overrides, named)


def _check_pipeline(
    asked: _Asked, overrides: Mapping[str, Mapping[str, Any]], named: Names
) -> dict[str, Any]:
    pipeline, values, has = asked.pipeline, asked.values, asked.has
    check_whole(pipeline, has, asked.called)
    refuse_idle(pipeline, has, named, asked.lookup, asked.called)
    refuse_options(pipeline, has, overrides, asked.called)
    options: dict[str, Any] = {}
    for name, step in running(pipeline, has).steps.items():
        used = used_by(pipeline, step, values)
        if len(used) > 1:
            continue  # an item says which one
        example = asked.catalog.find(used[0])
        for item in known_items(step, values):
            try:
                options |= _check_item(asked, example, name, step, overrides.get(name, {}), item)
            except InputError as error:
                raise (error if item is None else item.named(error, name)) from None
    return options


def _check_item(
    asked: _Asked,
    example: Example,
    name: str,
    step: Step,
    options: Mapping[str, Any],
    item: Item | None,
) -> dict[str, Any]:
    manifest = example.manifest
    given = {key: known_value(value, step, asked.values, item) for key, value in step.with_.items()}
    checked = _check_step(name, manifest, given, options)
    check_needs(asked.pipeline, asked.has, name, manifest, options, asked.called)
    if isinstance(manifest, ModelManifest):
        given_secrets(manifest.secrets, os.environ)
    if isinstance(manifest, PipelineManifest):
        inner = _Asked(
            asked.catalog,
            manifest,
            inner_values(manifest, {**given, **options}),
            inner_has(manifest, step, asked.has, options),
            _called_within(asked, name, step),
        )
        _check_pipeline(inner, {}, frozenset(options))
    return checked


def _called_within(asked: _Asked, name: str, step: Step) -> Called:
    """Inputs of the example that a step uses, by the input that flows into them, else as options
    of the step."""

    def called(key: str) -> str:
        source, field = parse_reference(step.with_.get(key)) or ("", "")
        return asked.called(field) if source == "inputs" else f"{name}.{key}"

    return called


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


def _check_limits(name: str, spec: InputSpec, files: Sequence[CheckedFile]) -> None:
    """What goes on to a step is what the pipeline takes; the step may take less of it."""
    if spec.max_seconds is not None or spec.max_pixels is not None:
        for file in files:
            check_file(name, spec, str(file.path))


def _check_step(
    step: str, manifest: Manifest, given: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    for key, value in given.items():
        items = value if isinstance(value, list) else [value]
        files = [item for item in items if isinstance(item, CheckedFile)]
        _check_limits(f"{step}.{key}", manifest.inputs[key], files)
        if value is not None and not files:
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
