"""From what a file says of how it was made to the request that makes it again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cvl.core.graph import output_spec
from cvl.core.inputs import HostFile
from cvl.core.manifest import InputSpec, Manifest, PipelineManifest
from cvl.core.names import printable
from cvl.core.provenance import FileRef, Provenance
from cvl.core.weights import parse_identity
from cvl.errors import InputError
from cvl.ops.examples import Catalog, Example
from cvl.ops.inspecting import read_statement
from cvl.ops.request import Options, Request
from cvl.store.folders import FolderError, measure
from cvl.store.results import Results
from cvl.store.staging import digest_of


@dataclass(frozen=True)
class Given:
    """What the caller adds to the statement. inputs: files by input; steps: files by step and
    input; outputs: paths by output, the empty name for the file's own. changed: take files that
    are not those it was made with."""

    inputs: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, str]
    changed: bool


def provenance_in(path: Path) -> Provenance:
    """What a file says of how it was made; InputError when it does not."""
    statement = read_statement(path)
    if statement.provenance is not None:
        return statement.provenance
    shown = printable(str(path), 300)
    raise InputError(
        f"{shown} {statement.problem or 'does not say how it was made'}",
        hint="files made by cvl do: MP4, MOV, M4A, WAV and PNG, and others with --sidecar",
        code="no_provenance",
    )


def ran_on_host(made_by: Provenance) -> bool:
    """Was all of it made in virtual environments? Another engine makes other bytes."""
    origins = made_by.steps.values()
    return bool(origins) and all(origin.image.startswith("venv:") for origin in origins)


def request_again(
    catalog: Catalog, results: Results, made_by: Provenance, given: Given, options: Options
) -> Request:
    """The request of the same example, arguments, files, outputs and seeds.

    Raises InputError when files are needed that are not known here, or are not the same.
    """
    example = catalog.find(made_by.example)
    offered = {**given.inputs}
    offered |= {f"{s}.{name}": v for s, named in given.steps.items() for name, v in named.items()}
    _refuse_others(made_by, offered)
    values: dict[str, Any] = dict(made_by.arguments)
    missing: list[str] = []
    for name, refs in made_by.files.items():
        if name in offered:
            values[name] = _checked(name, refs, _paths(offered[name]), given.changed)
            continue
        found = [_in_results(results, ref) for ref in refs]
        values[name] = found
        if None in found:
            missing.append(name)
    if missing:
        raise _missing(made_by, missing)
    inputs, steps = _split(values, _single(catalog, example, made_by))
    chosen = {(name or made_by.output): path for name, path in given.outputs.items()}
    defaults = _default_outputs(catalog, example.manifest, made_by)
    unnamed = frozenset(defaults.keys() - chosen.keys())
    outputs, again = {**defaults, **chosen}, _options(made_by, options)
    return Request(example, inputs, outputs, steps, again, unnamed)


def _refuse_others(made_by: Provenance, offered: Mapping[str, Any]) -> None:
    for name in offered:
        if name not in made_by.files:
            raise InputError(
                f"the file was made without a file --{name}",
                hint=f"cvl run {made_by.example} predict makes something else",
                code="unknown_input",
            )


def _paths(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list | tuple) else [value])]


def _checked(
    name: str, refs: Sequence[FileRef], paths: Sequence[str], changed: bool
) -> list[HostFile]:
    """The files that were offered, if they are those that the file was made with."""
    if changed:
        return [HostFile(path) for path in paths]
    if len(paths) != len(refs):
        raise InputError(f"--{name}: {len(refs)} files are needed, not {len(paths)}")
    return [_same(name, ref, path) for ref, path in zip(refs, paths, strict=True)]


def _same(name: str, ref: FileRef, path: str) -> HostFile:
    shown = printable(path, 200)
    try:
        here = measure(Path(path)).sha256 if os.path.isdir(path) else _digest(Path(path))
    except (OSError, ValueError, FolderError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"--{name}: {shown} cannot be read: {why}", hint="check the path"
        ) from None
    if here != ref.sha256:
        raise InputError(
            f"--{name}: {shown} is another file: its sha256 is {here}, not {ref.sha256}",
            hint="give the file that was used, or --changed to use this one all the same",
            code="other_file",
        )
    return HostFile(path, ref.extension)


def _digest(path: Path) -> str:
    """Only of regular files: a pipe would be read for ever."""
    if not path.is_file():
        raise ValueError("it is not a regular file" if path.exists() else "there is no such file")
    return digest_of(path)


def _in_results(results: Results, ref: FileRef) -> HostFile | None:
    found = results.find(ref.sha256)
    return HostFile(str(found), ref.extension) if found else None


def _missing(made_by: Provenance, names: Sequence[str]) -> InputError:
    """Every file that has to be given, with what it is known by."""
    lines = [
        f"  --{name}: sha256 {ref.sha256}, {ref.size} bytes"
        for name in names
        for ref in made_by.files[name]
    ]
    noun = "a file is" if len(lines) == 1 else f"{len(lines)} files are"
    return InputError(
        "\n".join((f"{noun} needed that cvl does not keep:", *lines)),
        hint="give " + " ".join(f"--{name} PATH" for name in names),
        code="missing_files",
    )


def _single(catalog: Catalog, example: Example, made_by: Provenance) -> set[str]:
    """Inputs that take one file, not a list of them."""
    specs: dict[str, InputSpec] = dict(example.manifest.inputs)
    if isinstance(example.manifest, PipelineManifest):
        for step, origin in made_by.steps.items():
            if step in example.manifest.steps:
                inputs = catalog.find(origin.example).manifest.inputs
                specs |= {f"{step}.{name}": spec for name, spec in inputs.items()}
    return {name for name, spec in specs.items() if spec.type != "list"}


def _split(
    values: Mapping[str, Any], single: set[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    inputs: dict[str, Any] = {}
    steps: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        is_files = isinstance(value, list) and any(isinstance(item, HostFile) for item in value)
        plain = value[0] if is_files and name in single else value
        step, dot, field = name.rpartition(".")
        if dot:
            steps.setdefault(step, {})[field] = plain
        else:
            inputs[name] = plain
    return inputs, steps


def _default_outputs(catalog: Catalog, manifest: Manifest, made_by: Provenance) -> dict[str, str]:
    """All outputs of then: which they were is part of what was made."""

    def lookup(name: str) -> Manifest:
        return catalog.find(name).manifest

    chosen: dict[str, str] = {}
    for name, extension in made_by.outputs.items():
        spec = output_spec(manifest, name, lookup) if name in manifest.outputs else None
        default = spec.default if spec else name
        stem = default.rpartition(".")[0] or default
        chosen[name] = f"{stem}.{extension}" if extension else stem
    return chosen


def _options(made_by: Provenance, options: Options) -> Options:
    """The seeds, and what else decided the bytes, unless the caller says otherwise."""
    origins = made_by.steps.values()
    on_cpu = all(origin.device == "cpu" for origin in origins)
    rungs = {origin.offload for origin in origins} - {""}
    dtypes = {origin.dtype for origin in origins} - {""}
    return replace(
        options,
        seed=made_by.seed,
        step_seeds={name: origin.seed for name, origin in made_by.steps.items()},
        gpus=options.gpus or ("none" if on_cpu else None),
        offload=options.offload or (rungs.pop() if len(rungs) == 1 else None),
        dtype=options.dtype or (dtypes.pop() if len(dtypes) == 1 else None),
        commits=dict(filter(None, (parse_identity(w) for o in origins for w in o.weights))),
    )
