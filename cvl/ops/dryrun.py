"""What a run would do, as values: nothing is built, started, staged or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cvl.core.graph import order, used_by
from cvl.core.manifest import ModelManifest, PipelineManifest
from cvl.core.plain import to_plain
from cvl.ops.examples import Catalog, Example
from cvl.ops.request import Checked
from cvl.store.staging import CheckedFile


@dataclass(frozen=True)
class DryRun:
    """A plan for a program and the same for a person."""

    data: dict[str, Any]
    text: str


def plan_of(catalog: Catalog, checked: Checked) -> DryRun:
    """The steps in order, with what is known of their inputs before anything ran."""
    example = checked.request.example
    steps = _steps(catalog, example, checked.values, "")
    outputs = {name: str(target.path) for name, target in checked.targets.items()}
    data = {"dry_run": True, "example": example.name, "steps": steps, "outputs": outputs}
    lines = [f"{example.name}: {len(steps)} container{'s' if len(steps) != 1 else ''}"]
    for step in steps:
        lines.append(f"  {step['step']}: {step['example']} ({step['folder']})")
        lines += [f"    {name} = {value}" for name, value in step["inputs"].items()]
    lines += [f"  {name} -> {path}" for name, path in outputs.items()]
    return DryRun(data, "\n".join(lines))


def _steps(
    catalog: Catalog, example: Example, values: dict[str, Any], prefix: str
) -> list[dict[str, Any]]:
    manifest = example.manifest
    if isinstance(manifest, ModelManifest):
        return [_model(example, manifest, prefix or example.name, values)]
    assert isinstance(manifest, PipelineManifest)
    steps: list[dict[str, Any]] = []
    for name in order(manifest, example.document):
        step = manifest.steps[name]
        used = catalog.find(used_by(manifest, step, values)[0])
        given = {key: _resolved(value, values) for key, value in step.with_.items()}
        steps += _steps(catalog, used, given, f"{prefix}.{name}" if prefix else name)
    return steps


def _model(
    example: Example, manifest: ModelManifest, step: str, values: dict[str, Any]
) -> dict[str, Any]:
    given = {name: _shown(value) for name, value in values.items() if value is not None}
    return {
        "step": step,
        "example": example.name,
        "folder": str(example.folder),
        "inputs": given,
        "outputs": {name: to_plain(spec) for name, spec in manifest.outputs.items()},
        "resources": to_plain(manifest.resources),
        "network": manifest.network,
    }


def _resolved(value: Any, values: dict[str, Any]) -> Any:
    """`${inputs.x}` is known already; what a step makes is not."""
    if isinstance(value, str) and value.startswith("${inputs."):
        return values.get(value[9:-1])
    return value


def _shown(value: Any) -> Any:
    if isinstance(value, CheckedFile):
        return str(value.path)
    return [_shown(item) for item in value] if isinstance(value, list) else value
