"""A request as a person makes it, and the same thing checked: everything that can be refused
without an engine is refused here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cvl.core.dtypes import check_dtype
from cvl.core.given import Names, having, idle_inputs, inner_has, running
from cvl.core.graph import candidates, check_graph, output_spec
from cvl.core.inputs import resolve_inputs
from cvl.core.manifest import Manifest, ModelManifest, OutputSpec, PipelineManifest
from cvl.core.media import extensions_for
from cvl.core.names import canonical, did_you_mean, not_utf8, printable
from cvl.core.offload import check_offload
from cvl.core.output_names import SEED, with_seed
from cvl.core.plan import EXTENSION, OutputRequest
from cvl.core.redaction import given_secrets
from cvl.core.seeds import MAX_SEED
from cvl.core.weights import Lora
from cvl.errors import InputError
from cvl.ops.examples import Catalog, Example
from cvl.store.staging import open_files
from cvl.store.targets import Target, prepare_target


def new_run_id() -> str:
    """Sortable by time, unique without asking anybody: 20261120-104512-3f9a1c."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(3).hex()}"


@dataclass(frozen=True)
class Options:
    """The runner's own options. None: not given."""

    gpus: str | None = None
    offload: str | None = None
    dtype: str | None = None
    overwrite: bool = False
    use_cache: bool = True
    timeout_s: float | None = None
    seed: int | None = None
    step_seeds: Mapping[str, int] = field(default_factory=dict)
    """Seeds of single steps, by step name; the others have `seed`."""
    sidecar: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    """The user's own weights: name in the manifest -> file or folder."""
    loras: tuple[Lora, ...] = ()
    commits: Mapping[str, str] = field(default_factory=dict)
    """repo -> the commit that is wanted of it, if it is known here."""
    fallback: bool = False
    """Let another example take over although the user named one."""
    commercial: bool = False
    """Refuse what commercial use is not known to be allowed of."""


@dataclass(frozen=True)
class Request:
    """What was asked for. outputs: name -> path; the empty name is the main output. overrides: step
    name -> options of that step. unnamed: those of `outputs` whose paths nobody chose; when there
    are no outputs at all, nobody chose any."""

    example: Example
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    unnamed: frozenset[str] = frozenset()
    several: bool = False
    """One of several variations: the names of its outputs say its seed."""


@dataclass(frozen=True)
class CheckedInputs:
    """What makes sense of a request whatever its seed and wherever its outputs go."""

    manifest: Manifest
    values: dict[str, Any]
    specs: dict[str, OutputSpec]
    step_values: dict[str, Any]
    idle: Names


@dataclass(frozen=True)
class Checked:
    """A request that makes sense: values by input, outputs with where they go, the seed to use.
    step_values: options of steps, under `step.input`. idle: inputs for steps that do not run."""

    request: Request
    manifest: Manifest
    values: dict[str, Any]
    outputs: dict[str, OutputRequest]
    targets: dict[str, Target]
    seed: int
    run: str
    step_values: dict[str, Any] = field(default_factory=dict)
    idle: Names = frozenset()


def check_request(catalog: Catalog, request: Request, run: str) -> Checked:
    """Check manifest, graph, inputs, files, outputs and options; UserError for the first that
    fails."""
    return check_outputs(check_inputs(catalog, request), request, run)


def check_inputs(catalog: Catalog, request: Request) -> CheckedInputs:
    """Check manifest, graph, inputs, files and options."""
    problem = not_utf8("the working folder", os.getcwd())
    if problem:
        raise InputError(problem, hint="run it in a folder with another name")
    manifest = request.example.manifest

    def lookup(name: str) -> Manifest:
        return catalog.find(name).manifest

    if isinstance(manifest, PipelineManifest):
        check_graph(manifest, request.example.document, lookup)
    elif request.overrides:
        raise InputError(f"{manifest.name} is not a pipeline: it has no steps to give options to")
    values = resolve_inputs(manifest.inputs, request.inputs, manifest.name)
    if request.options.weights or request.options.loras:
        from cvl.ops.weights.own import check_own

        own, loras = request.options.weights, request.options.loras
        check_own(own, loras, list(models_of(catalog, manifest, having(values))))
    values = {name: open_files(name, manifest.inputs[name], v) for name, v in values.items()}
    step_values: dict[str, Any] = {}
    idle: Names = frozenset()
    if isinstance(manifest, PipelineManifest):
        from cvl.ops.known import check_steps

        named = frozenset(canonical(name) for name in request.inputs)
        step_values = check_steps(catalog, manifest, values, request.overrides, named)
        idle = idle_inputs(manifest, having(values), lookup)
    else:
        check_offload(manifest, request.options.offload)
        check_dtype(manifest.dtypes, request.options.dtype)
        given_secrets(manifest.secrets, os.environ)
    if request.options.commercial:
        from cvl.ops.commercial import check_commercial

        check_commercial(catalog, request, values)
    specs = {name: output_spec(manifest, name, lookup, values) for name in manifest.outputs}
    return CheckedInputs(manifest, values, specs, step_values, idle)


def models_of(
    catalog: Catalog, manifest: Manifest, has: Names = frozenset()
) -> Iterator[ModelManifest]:
    """The model itself, or every one that a pipeline may use when the inputs in `has` have a
    value."""
    if isinstance(manifest, ModelManifest):
        yield manifest
        return
    for step in running(manifest, has).steps.values():
        for name in candidates(manifest, step, None):
            inner = catalog.find(name).manifest
            yield from models_of(catalog, inner, inner_has(inner, step, has, ()))


def check_outputs(inputs: CheckedInputs, request: Request, run: str) -> Checked:
    """Check seed and outputs."""
    manifest, specs = inputs.manifest, inputs.specs
    chosen = _chosen_outputs(manifest, specs, request.outputs)
    unnamed = request.unnamed if request.outputs else frozenset(chosen)
    request, seed = _seeded(request, chosen.values())
    several = request.several
    paths = {
        name: _path_with_seed(path, seed, several, specs[name]) for name, path in chosen.items()
    }
    overwrite = request.options.overwrite
    targets = {
        name: prepare_target(path, run, overwrite, numbered=name in unnamed)
        for name, path in paths.items()
    }
    if len({target.path for target in targets.values()}) < len(targets):
        raise InputError("two outputs have the same path")
    if request.options.sidecar:
        from cvl.store.sidecars import check_sidecars

        check_sidecars(list(targets.values()))
    outputs = {name: output_request(name, specs[name], path.name) for name, path in paths.items()}
    return Checked(
        request, manifest, inputs.values, outputs, targets, seed, run,
        step_values=inputs.step_values, idle=inputs.idle,
    )  # fmt: skip


def _seeded(request: Request, paths: Iterable[str]) -> tuple[Request, int]:
    """The seed of a run. A name that says it asks for it: then no other will do."""
    given = request.options.seed
    if given is not None and not 0 <= given <= MAX_SEED:
        raise InputError(f"--seed is {given}", hint=f"it must be between 0 and {MAX_SEED}")
    seed = fresh_seed() if given is None else given
    if given is None and any(SEED in path for path in paths):
        request = replace(request, options=replace(request.options, seed=seed))
    return request, seed


def _path_with_seed(path: str, seed: int, several: bool, spec: OutputSpec) -> Path:
    """Where an output goes. A folder stays the mistake that it is without several variations."""
    folder = spec.type == "directory"
    if several and not folder and os.path.isdir(path):
        return Path(path)
    return Path(with_seed(path, seed, several=several, folder=folder))


def fresh_seed() -> int:
    """A random one."""
    return int.from_bytes(os.urandom(4), "big") % MAX_SEED


def _chosen_outputs(
    manifest: Manifest, specs: Mapping[str, OutputSpec], given: Mapping[str, str]
) -> dict[str, str]:
    """The outputs that were named; when none was, every one that is not optional."""
    primary = next(iter(specs))
    chosen: dict[str, str] = {}
    for name, path in given.items():
        output = canonical(name) if name else primary
        if output not in specs:
            hint = did_you_mean(name, specs, "--output-")
            raise InputError(f"{manifest.name} has no output {name!r}", hint=hint)
        if output in chosen:
            raise InputError(f"--output and --output-{output} are the same output")
        if not path or "\0" in path:
            raise InputError("--output needs a path")
        problem = not_utf8("--output", path)
        if problem:
            raise InputError(problem, hint="give another --output")
        chosen[output] = path
    if chosen:
        return chosen
    return {name: spec.default for name, spec in specs.items() if not spec.optional}


def output_request(name: str, spec: OutputSpec, file_name: str) -> OutputRequest:
    """The output in the format that the extension of `file_name` names; InputError when it
    cannot be."""
    default = spec.default.rpartition(".")[2].lower() if "." in spec.default else ""
    if spec.type == "directory":
        return OutputRequest(spec.type, "", spec.expect)
    allowed = spec.formats or extensions_for(spec.type) or ((default,) if default else ())
    extension = file_name.rpartition(".")[2].lower() if "." in file_name.lstrip(".") else ""
    if not extension:
        extension = default
    elif spec.type != "file" and extension not in allowed:
        raise InputError(
            f"--output: {name} cannot be written as .{printable(extension, 40)}",
            hint=f"choose from: {', '.join('.' + a for a in allowed)}",
        )
    harmless = EXTENSION.fullmatch(extension) is not None
    return OutputRequest(spec.type, extension if harmless else default, spec.expect)
