"""What a run would do, as values: nothing is built, started, staged or written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cvl.core.dtypes import AUTO, resolve_dtype
from cvl.core.given import Names, having, running, stand_ins
from cvl.core.graph import order, used_by
from cvl.core.manifest import ModelManifest, PipelineManifest, Step
from cvl.core.offload import choose, for_values
from cvl.core.plain import to_plain
from cvl.core.references import parse_reference
from cvl.errors import GpuError
from cvl.ops.commercial import is_allowed
from cvl.ops.examples import Catalog, Example
from cvl.ops.items import Item
from cvl.ops.known import inner_values, known_items, known_value
from cvl.ops.place import choose_gpus
from cvl.ops.request import Checked, Options
from cvl.ops.session import Session
from cvl.ops.weights.planned import planned_line, planned_weights
from cvl.store.staging import CheckedFile

if TYPE_CHECKING:
    from cvl.ops.variations import Variations


@dataclass(frozen=True)
class DryRun:
    """A plan for a program and the same for a person."""

    data: dict[str, Any]
    lines: list[str]


@dataclass(frozen=True)
class _Planned:
    """An example with what is known of its inputs; the outermost pipeline has no name, and alone
    has options for its steps, under `step.input`."""

    catalog: Catalog
    example: Example
    name: str
    values: dict[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> dict[str, Any]:
        """Without what is yet to be made, which is shown as the reference that it is."""
        return {name: v for name, v in self.values.items() if parse_reference(v) is None}


def plan_of(catalog: Catalog, checked: Checked) -> DryRun:
    """The steps in order, with what is known of their inputs before anything ran."""
    example = checked.request.example
    plan, lines = _plan(catalog, checked)
    outputs = _outputs(checked)
    lines += [f"  {line}" for line in _output_lines(checked)]
    data = {"dry_run": True, "example": example.name, **plan, "outputs": outputs}
    return DryRun(data, lines)


def plan_of_variations(catalog: Catalog, variations: Variations) -> DryRun:
    """The steps once, then the outputs by seed."""
    first = variations.each[0]
    plan, lines = _plan(catalog, first)
    lines.append(f"  {len(variations.each)} times:")
    planned = []
    for checked in variations.each:
        planned.append({"seed": checked.seed, "outputs": _outputs(checked)})
        lines += [f"  seed {checked.seed}: {line}" for line in _output_lines(checked)]
    name = first.request.example.name
    data = {"dry_run": True, "example": name, **plan, "variations": planned}
    return DryRun(data, lines)


def _outputs(checked: Checked) -> dict[str, str]:
    return {name: str(target.path) for name, target in checked.targets.items()}


def _output_lines(checked: Checked) -> list[str]:
    """With what becomes of a name that nobody chose and something has."""
    return [
        f"{name} -> {target.path}"
        + (" (or numbered)" if target.numbered and os.path.lexists(target.path) else "")
        for name, target in checked.targets.items()
    ]


def _plan(catalog: Catalog, checked: Checked) -> tuple[dict[str, Any], list[str]]:
    """The steps, and those that do not run, as data and as lines."""
    example = checked.request.example
    not_run: list[dict[str, Any]] = []
    steps = _steps(_Planned(catalog, example, "", checked.values, checked.step_values), not_run)
    session, options = Session(), checked.request.options
    shown: dict[str, list[str]] = {}
    for step in steps:
        model = catalog.find(step["example"]).manifest
        assert isinstance(model, ModelManifest)
        step.update(_placed(session, model, step["inputs"], options))
        if options.commercial:
            step["fallback"] = [name for name in step["fallback"] if is_allowed(catalog, name)]
        planned = planned_weights(session, model, inner_values(model, step["inputs"]), options)
        step["weights"] = [to_plain(weights) for weights in planned]
        shown[step["step"]] = [planned_line(weights) for weights in planned]
    many = "s" if len(steps) != 1 else ""
    least = "at least " if any(step["foreach"] for step in steps) else ""
    lines = [f"{example.name}: {least}{len(steps)} container{many}"]
    for step in steps:
        lines.append(f"  {step['step']}: {step['example']} ({step['folder']})")
        lines += [f"    {name} = {value}" for name, value in step["inputs"].items()]
        lines += [f"    {_placement_line(step)}"]
        lines += [f"    {line}" for line in shown[step["step"]]]
        lines += [f"    for each of {step['foreach']}"] if step["foreach"] else []
        lines += [f"    else {other}" for other in step["fallback"]]
    lines += [_not_run_line(step) for step in not_run]
    return {"steps": steps, "not_run": not_run}, lines


def _not_run_line(step: Mapping[str, Any]) -> str:
    given = " and ".join(step["given"])
    why = (
        f"{given} {'is' if len(step['given']) == 1 else 'are'} given"
        if given
        else "nothing needs it"
    )
    return f"  {step['step']}: does not run, {why}"


def _steps(
    node: _Planned,
    not_run: list[dict[str, Any]],
    foreach: str = "",
    fallback: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Those that run; the others are added to `not_run`."""
    manifest = node.example.manifest
    if isinstance(manifest, ModelManifest):
        told = {"foreach": foreach, "fallback": list(fallback)}
        return [{**_model(node.example, manifest, node.name or manifest.name, node.values), **told}]
    steps: list[dict[str, Any]] = []
    has = having(node.values)
    runs = running(manifest, has)
    not_run += [_not_run(node, n, s, has) for n, s in manifest.steps.items() if n not in runs.steps]
    for name in order(runs, node.example.document):
        step = runs.steps[name]
        for item in known_items(step, node.known):
            unknown = next(iter(step.foreach.values()), "") if item is None else ""
            within = _inner(node, runs, name, step, item)
            steps += _steps(within, not_run, unknown or foreach, (*step.fallback, *fallback))
    return steps


def _not_run(node: _Planned, name: str, step: Step, has: Names) -> dict[str, Any]:
    """given: the inputs that stand for what it would make; none where it worked for such a step
    alone."""
    behind = stand_ins(step)
    return {"step": _full_name(node, name), "given": sorted(behind) if behind <= has else []}


def _inner(
    node: _Planned, manifest: PipelineManifest, name: str, step: Step, item: Item | None
) -> _Planned:
    used = node.catalog.find(used_by(manifest, step, node.known)[0])
    given = {key: _resolved(value, step, node.values, item) for key, value in step.with_.items()}
    for option, value in node.options.items():
        if option.startswith(f"{name}."):
            given[option.partition(".")[2]] = value
    full_name = _full_name(node, name)
    if step.foreach:
        full_name += ".*" if item is None else f".{item.index}"
    if isinstance(used.manifest, PipelineManifest):
        given = inner_values(used.manifest, given)
    return _Planned(node.catalog, used, full_name, given)


def _full_name(node: _Planned, name: str) -> str:
    return f"{node.name}.{name}" if node.name else name


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


def _placed(
    session: Session, manifest: ModelManifest, values: Mapping[str, Any], options: Options
) -> dict[str, Any]:
    """Where the step would begin now; what earlier runs taught of its memory is not looked at."""
    try:
        gpus = choose_gpus(session, manifest, options.gpus)
        rungs = for_values(manifest.offload, values)
        rung = choose(rungs, options.offload, gpus.free_vram_gb)
    except GpuError as error:
        return {"device": None, "offload": "", "dtype": "", "missing": error.message}
    dtype = resolve_dtype(manifest.dtypes, options.dtype, gpus.device, gpus.arch)
    return {"device": gpus.device, "offload": rung.mode, "dtype": dtype, "missing": ""}


def _placement_line(step: Mapping[str, Any]) -> str:
    if step["device"] is None:
        return f"cannot run here: {step['missing']}"
    offload = "" if step["offload"] == "none" else f", offload {step['offload']}"
    dtype = "" if step["dtype"] == AUTO else f", {step['dtype']}"
    return f"on {step['device']}{offload}{dtype}"


def _resolved(value: Any, step: Step, values: dict[str, Any], item: Item | None) -> Any:
    """`${inputs.x}` and items of a given list are known already; what a step makes is not."""
    reference = parse_reference(value)
    if reference is None:
        return value
    known = known_value(value, step, values, item)
    return value if known is None and reference[0] != "inputs" else known


def _shown(value: Any) -> Any:
    if isinstance(value, CheckedFile):
        return str(value.path)
    return [_shown(item) for item in value] if isinstance(value, list) else value
