"""What a manifest's own types cannot say: names, defaults, samples, and the graph of one
pipeline."""

from __future__ import annotations

import re
from typing import Any

from cvl.core.inputs import coerce
from cvl.core.location import Located, Location
from cvl.core.manifest import (
    FILE_TYPES,
    InputSpec,
    Manifest,
    ModelManifest,
    OutputSpec,
    PipelineManifest,
    Step,
    Weights,
)
from cvl.core.media import extensions_for
from cvl.core.names import did_you_mean, is_identifier
from cvl.core.pipeline_files import is_pipeline, variant_of
from cvl.core.references import parse_reference
from cvl.core.weights import REPO, is_plain_path, url_name
from cvl.errors import InputError

# The runner's own options, and the arguments of predict() that are no inputs: an input of the same
# name could not be reached.
RESERVED = frozenset(
    (
        "gpus", "offload", "overwrite", "dry_run", "no_cache", "timeout", "progress", "quiet",
        "json", "output", "seed", "help", "debug", "explain", "examples", "engine", "count",
        "base_image", "ca_bundle", "junit", "version", "fallback", "device", "dtype", "self", "ctx",
        "weights", "offline", "lora", "commercial", "no_commercial",
    )
)  # fmt: skip


def check_manifest(manifest: Manifest, document: Located, folder: str) -> None:
    """Raise ManifestError for the first thing that is wrong."""
    if manifest.name != folder:
        raise document.error(
            ("name",), f"name is {manifest.name!r} but the folder is {folder!r}", "make them equal"
        )
    for section, names in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        for name in names:
            _check_identifier(document, (section, name), name)
    if not manifest.outputs:
        raise document.error(("outputs",), "at least one output is needed")
    for name, spec in manifest.inputs.items():
        _check_input(document, name, spec)
    if isinstance(manifest, ModelManifest):
        _check_model(manifest, document)
    else:
        _check_steps(manifest, document)
    _check_samples(manifest, document)


def _check_identifier(document: Located, at: Location, name: str) -> None:
    if not is_identifier(name):
        raise document.error(
            at, f"{name!r} is not a name", "use lower-case letters, digits and underscores"
        )


def _check_input(document: Located, name: str, spec: InputSpec) -> None:
    at: Location = ("inputs", name)
    if name in RESERVED:
        raise document.error(at, f"{name!r} is an option of cvl itself", "call the input otherwise")
    if name.startswith("output_"):
        raise document.error(at, f"{name!r} looks like an output", "call the input otherwise")
    if spec.item_type == "choice" and not spec.choices:
        raise document.error(at, f"input {name!r} is a choice without choices")
    if spec.type != "list" and spec.of is not None:
        raise document.error((*at, "of"), f"'of' goes with type list, not {spec.type}")
    if spec.pattern is not None:
        try:
            re.compile(spec.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise document.error((*at, "pattern"), f"not a regular expression: {error}") from None
    if spec.default is not None:
        _check_value(document, (*at, "default"), name, spec, spec.default)


def _check_value(document: Located, at: Location, name: str, spec: InputSpec, value: Any) -> None:
    try:
        coerce(name, spec, value)
    except InputError as error:
        raise document.error(at, error.message, error.hint) from None


def _check_model(manifest: ModelManifest, document: Located) -> None:
    for name, output in manifest.outputs.items():
        _check_output(document, name, output)
    for index, weights in enumerate(manifest.weights):
        _check_weights(manifest, document, ("weights", index), weights)
    for index, rung in enumerate(manifest.offload):
        for name in rung.vram_gb_for:
            if name not in manifest.inputs:
                at: Location = ("offload", index, "vram_gb_for")
                raise document.error(at, f"there is no input {name!r}")
    for repo in manifest.license.models:
        if not REPO.fullmatch(repo):
            at = ("license", "models", repo)
            raise document.error(at, f"{repo!r} is no repo", "it is called ORG/NAME")
    if manifest.resources.gpu == "required" and manifest.resources.gpus < 1:
        raise document.error(("resources", "gpus"), "a required GPU cannot be fewer than one")


def _check_weights(
    manifest: ModelManifest, document: Located, at: Location, weights: Weights
) -> None:
    if bool(weights.repo) == bool(weights.url):
        raise document.error(at, "weights need either repo or url")
    for name, value in weights.when.items():
        spec = manifest.inputs.get(name)
        if spec is None or value not in (spec.choices or ()):
            raise document.error((*at, "when", name), f"no input {name!r} has the choice {value!r}")
    if weights.url:
        if not (re.fullmatch(r"[0-9a-f]{64}", weights.sha256) and weights.size):
            raise document.error(at, "weights from a url need sha256 and size")
        if not is_plain_path(url_name(weights)):
            raise document.error((*at, "to"), f"{url_name(weights)!r} is no plain file name")
        return
    reference = parse_reference(weights.repo)
    if reference is not None:
        spec = manifest.inputs.get(reference[1]) if reference[0] == "inputs" else None
        if spec is None or spec.type not in ("string", "choice"):
            raise document.error((*at, "repo"), f"{weights.repo} is no input that names a repo")
    elif not REPO.fullmatch(weights.repo):
        raise document.error((*at, "repo"), f"{weights.repo!r} is no repo", "it is called ORG/NAME")
    for index, pattern in enumerate(weights.files):
        variant = parse_reference(variant_of(pattern)) if is_pipeline(pattern) else None
        if variant is not None and (variant[0] != "inputs" or variant[1] not in manifest.inputs):
            raise document.error((*at, "files", index), f"{pattern} names no input")


def _check_output(document: Located, name: str, output: OutputSpec) -> None:
    at: Location = ("outputs", name)
    if "/" in output.default or output.default in ("", ".", ".."):
        raise document.error((*at, "default"), f"{output.default!r} is not a plain file name")
    extension = output.default.rpartition(".")[2].lower()
    allowed = output.formats or extensions_for(output.type)
    if output.type == "directory" or not allowed:
        return
    if extension not in allowed:
        raise document.error(
            (*at, "default"),
            f"{output.default!r} is not one of the formats of {name!r}",
            f"choose from: {', '.join(allowed)}",
        )


def _check_steps(manifest: PipelineManifest, document: Located) -> None:
    """Names and references of this file alone; what the steps use is checked by core/graph.py."""
    if not manifest.steps:
        raise document.error(("steps",), "a pipeline needs at least one step")
    for name, step in manifest.steps.items():
        _check_identifier(document, ("steps", name), name)
        if name == "inputs":
            raise document.error(("steps", name), "a step cannot be called 'inputs'")
        _check_foreach(manifest, document, name, step)
        _check_given(manifest, document, name, step)
        _check_fallback(document, name, step)
        _check_reference(manifest, document, ("steps", name, "uses"), step.uses)
        for key, value in step.with_.items():
            at: Location = ("steps", name, "with", key)
            _check_reference(manifest, document, at, value, tuple(step.foreach))
    for name, value in manifest.outputs.items():
        reference = parse_reference(value)
        if reference is None or reference[0] == "inputs":
            message = f"output {name!r} is not a reference to what a step makes"
            raise document.error(("outputs", name), message, "write ${step.output}")
        _check_reference(manifest, document, ("outputs", name), value)


def _check_foreach(manifest: PipelineManifest, document: Located, name: str, step: Step) -> None:
    at: Location = ("steps", name, "foreach")
    if step.at_once < 1:
        raise document.error(("steps", name, "at_once"), "at_once is one at least")
    if not step.foreach:
        return
    if len(step.foreach) > 1:
        hint = "put several steps per item into a pipeline, and use that"
        raise document.error(at, "foreach has one name for the item, and one source", hint)
    item, source = next(iter(step.foreach.items()))
    _check_identifier(document, (*at, item), item)
    if item == "inputs" or item in manifest.steps:
        message = f"{item!r} is the name of something else here"
        raise document.error((*at, item), message, "call the item otherwise")
    if parse_reference(source) is None:
        message = f"{source!r} is not a reference to a list"
        raise document.error((*at, item), message, "write ${step.output} or ${inputs.name}")
    _check_reference(manifest, document, (*at, item), source)


def _check_given(manifest: PipelineManifest, document: Located, name: str, step: Step) -> None:
    """That the caller can give it or leave it out, and that it is whole."""
    if step.given and step.foreach:
        hint = "put the step into a pipeline, and use that for each item"
        raise document.error(("steps", name, "given"), "given does not go with foreach", hint)
    for output, value in step.given.items():
        at: Location = ("steps", name, "given", output)
        source, field = parse_reference(value) or ("", "")
        if source != "inputs":
            message = f"{value!r} is not an input of this pipeline"
            raise document.error(at, message, "write ${inputs.name}")
        _check_reference(manifest, document, at, value)
        spec = manifest.inputs[field]
        if spec.required or spec.default is not None:
            message = f"{value} always has a value: step {name} would never run"
            raise document.error(at, message, "make the input optional, without a default")
        if value in step.with_.values():
            message = f"{value} has no value when step {name} runs"
            raise document.error(at, message, "leave it out of the step's with")


def _check_fallback(document: Located, name: str, step: Step) -> None:
    for index, example in enumerate(step.fallback):
        if not is_identifier(example) or example in (step.uses, *step.fallback[:index]):
            at: Location = ("steps", name, "fallback", index)
            raise document.error(at, f"{example!r} is not another example", "name one by its name")


def _check_reference(
    manifest: PipelineManifest,
    document: Located,
    at: Location,
    value: Any,
    items: tuple[str, ...] = (),
) -> None:
    """`items`: names that stand for the item of a foreach."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_reference(manifest, document, (*at, index), item, items)
        return
    if not isinstance(value, str) or "${" not in value:
        return
    reference = parse_reference(value)
    if reference is None:
        raise document.error(at, f"{value!r} is not a reference", "write ${step.output} alone")
    source, field = reference
    if source in items:
        return
    if not field:
        raise document.error(at, f"{value!r} is not a reference", "write ${step.output} alone")
    if source == "inputs":
        if field not in manifest.inputs:
            hint = did_you_mean(field, manifest.inputs)
            raise document.error(at, f"{value} names no input of this pipeline", hint)
    elif source not in manifest.steps:
        hint = did_you_mean(source, ["inputs", *items, *manifest.steps])
        raise document.error(at, f"{value} names no step of this pipeline", hint)


def _check_samples(manifest: Manifest, document: Located) -> None:
    for name, value in manifest.samples.items():
        if name not in manifest.inputs:
            hint = did_you_mean(name, manifest.inputs)
            raise document.error(("samples", name), f"sample {name!r} names no input", hint)
        spec = manifest.inputs[name]
        if spec.item_type in FILE_TYPES:
            paths = value if isinstance(value, list) else [value]
            if not all(isinstance(path, str) and path for path in paths):
                raise document.error(("samples", name), f"sample {name!r} is not a path")
            if any(path.startswith("/") or ".." in path.split("/") for path in paths):
                message = f"sample {name!r} lies outside of the example's folder"
                raise document.error(("samples", name), message, "name a file in the folder")
        else:
            _check_value(document, ("samples", name), name, spec, value)
