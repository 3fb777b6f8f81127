"""Values of a pipeline's steps that are known before anything runs: literals, the pipeline's own
inputs, and options of steps. A wrong one is refused with the other bad inputs, not at its step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvl.core.graph import used_by
from cvl.core.inputs import coerce
from cvl.core.manifest import Manifest, PipelineManifest
from cvl.core.names import did_you_mean
from cvl.core.references import parse_reference
from cvl.errors import InputError
from cvl.ops.examples import Catalog
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
        example = catalog.find(used_by(pipeline, step, values)[0])
        given = {key: _known(value, values) for key, value in step.with_.items()}
        options |= _check_step(name, example.manifest, given, overrides.get(name, {}))
        if isinstance(example.manifest, PipelineManifest):
            check_steps(catalog, example.manifest, given, {})
    return options


def _known(value: Any, values: Mapping[str, Any]) -> Any:
    """The value behind a reference to an input; None for what a step has yet to make."""
    reference = parse_reference(value)
    if reference is None:
        return None if isinstance(value, list) else value
    return values[reference[1]] if reference[0] == "inputs" else None


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
