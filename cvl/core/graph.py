"""The graph of a pipeline: order, and whether what flows along its edges fits. All of it is known
before the first container starts; a choice in `uses` is checked for every choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cvl.core.inputs import coerce
from cvl.core.location import Located, Location
from cvl.core.manifest import FILE_TYPES, InputSpec, Manifest, OutputSpec, PipelineManifest, Step
from cvl.core.media import extensions_for
from cvl.core.names import did_you_mean
from cvl.core.references import parse_reference, references_in
from cvl.errors import CvlError, InputError, ManifestError

Lookup = Callable[[str], Manifest]
ANY = "a value of JSON"
NO_ITEMS: Mapping[str, str] = {}


def order(pipeline: PipelineManifest, document: Located) -> list[str]:
    """Step names so that each comes after what it needs; ManifestError names a cycle."""
    needs = {name: dependencies(step) for name, step in pipeline.steps.items()}
    done: list[str] = []
    while len(done) < len(needs):
        ready = [n for n in needs if n not in done and needs[n] <= set(done)]
        if not ready:
            stuck = [name for name in needs if name not in done]
            raise document.error(
                ("steps", stuck[0]), f"steps need each other in a circle: {', '.join(stuck)}"
            )
        done += ready
    return done


def dependencies(step: Step) -> set[str]:
    """Names of the steps whose outputs a step uses."""
    values = [step.uses, *step.with_.values(), *step.foreach.values()]
    found = {source for value in values for source, _ in references_in(value)}
    return found - {"inputs", *step.foreach}


def used_by(pipeline: PipelineManifest, step: Step, inputs: Mapping[str, Any] | None) -> list[str]:
    """Examples that a step may use: every choice, or with `inputs` the one that was chosen, as far
    as that is known yet."""
    reference = parse_reference(step.uses)
    if reference is None:
        return [step.uses]
    if inputs is not None and inputs.get(reference[1]) is not None:
        return [str(inputs[reference[1]])]
    return [str(choice) for choice in pipeline.inputs[reference[1]].choices]


def candidates(
    pipeline: PipelineManifest, step: Step, inputs: Mapping[str, Any] | None
) -> list[str]:
    """What a step may use, and then what may take over."""
    first = used_by(pipeline, step, inputs)
    return [*first, *(name for name in step.fallback if name not in first)]


def check_graph(
    pipeline: PipelineManifest, document: Located, lookup: Lookup, above: tuple[str, ...] = ()
) -> None:
    """Raise ManifestError for a cycle, an unknown example, input or output, or types that do not
    fit; in the pipelines that it uses as well. `above`: the pipelines that use this one."""
    order(pipeline, document)
    for name, step in pipeline.steps.items():
        _check_uses(pipeline, document, name, step)
    for name, step in pipeline.steps.items():
        at: Location = ("steps", name, "uses")
        for example in candidates(pipeline, step, None):
            manifest = _find(document, at, example, lookup)
            if isinstance(manifest, PipelineManifest):
                _check_nested(document, at, manifest, lookup, (*above, pipeline.name))
    for name, step in pipeline.steps.items():
        for item, value in step.foreach.items():
            item_type(pipeline, document, lookup, ("steps", name, "foreach", item), value)
        for example in candidates(pipeline, step, None):
            _check_step(pipeline, document, lookup, name, step, lookup(example))
        _check_given(pipeline, document, lookup, name, step)
    for name, value in pipeline.outputs.items():
        source_type(pipeline, document, lookup, ("outputs", name), value)
        if _is_list(pipeline, value):
            hint = "give it to a step that makes one of it"
            raise document.error(("outputs", name), f"{value} is a list", hint)
        if any(pipeline.steps[source].given for source, _ in references_in(value)):
            hint = "give it to a step that always runs"
            raise document.error(("outputs", name), f"{value} is not always made", hint)
        _check_formats(pipeline, document, lookup, value)
    _check_all_used(pipeline, document)


def _check_all_used(pipeline: PipelineManifest, document: Located) -> None:
    needed = {source for value in pipeline.outputs.values() for source, _ in references_in(value)}
    for step in pipeline.steps.values():
        needed |= dependencies(step)
    for name in pipeline.steps:
        if name not in needed:
            raise document.error(
                ("steps", name), f"nothing uses what step {name!r} makes", "remove it, or use it"
            )


@dataclass(frozen=True)
class _Used:
    """Errors of a pipeline that another one uses: told at the line that uses it."""

    document: Located
    at: Location
    name: str

    def error(self, location: Location, message: str, hint: str = "") -> ManifestError:
        return self.document.error(self.at, f"{self.name}: {message}", hint)


def _check_nested(
    document: Located,
    at: Location,
    manifest: PipelineManifest,
    lookup: Lookup,
    above: tuple[str, ...],
) -> None:
    if manifest.name in above:
        circle = " -> ".join((*above, manifest.name))
        raise document.error(at, f"pipelines use each other in a circle: {circle}")
    check_graph(manifest, _Used(document, at, manifest.name), lookup, above)


def _check_uses(pipeline: PipelineManifest, document: Located, name: str, step: Step) -> None:
    reference = parse_reference(step.uses)
    at: Location = ("steps", name, "uses")
    if reference is None:
        return
    if reference[0] != "inputs" or pipeline.inputs[reference[1]].type != "choice":
        raise document.error(at, f"{step.uses} is not an input of type choice")
    if pipeline.inputs[reference[1]].optional and pipeline.inputs[reference[1]].default is None:
        raise document.error(at, f"{step.uses} may be left out: give it a default")


def _find(document: Located, at: Location, example: str, lookup: Lookup) -> Manifest:
    try:
        return lookup(example)
    except CvlError as error:
        raise document.error(at, error.message, error.hint) from None


def _check_step(
    pipeline: PipelineManifest,
    document: Located,
    lookup: Lookup,
    name: str,
    step: Step,
    manifest: Manifest,
) -> None:
    for key, value in step.with_.items():
        at: Location = ("steps", name, "with", key)
        if key not in manifest.inputs:
            hint = did_you_mean(key, manifest.inputs)
            raise document.error(at, f"{manifest.name} has no input {key!r}", hint)
        spec = manifest.inputs[key]
        if parse_reference(value) is None and not isinstance(value, list):
            _check_literal(document, at, key, spec, value)
            continue
        if isinstance(value, list) and spec.type != "list":
            raise document.error(at, f"{key!r} of {manifest.name} is {spec.type}, not a list")
        for item in value if isinstance(value, list) else [value]:
            if parse_reference(item) is None:
                _check_literal(document, at, key, spec, [item])
                continue
            given = source_type(pipeline, document, lookup, at, item, step.foreach)
            many = _is_list(pipeline, item, step.foreach)
            if many and (spec.type != "list" or isinstance(value, list)):
                raise document.error(at, f"{item} is a list, and one value is needed here")
            if not fits(given, spec):
                wanted = f"list of {spec.of}" if spec.type == "list" else spec.type
                raise document.error(
                    at, f"{item} is {given}, but {key!r} of {manifest.name} is {wanted}"
                )
    for key, spec in manifest.inputs.items():
        if spec.required and key not in step.with_:
            raise document.error(
                ("steps", name),
                f"{manifest.name} needs {key!r}",
                f"add {key}: ${{...}} to its with",
            )


def _check_given(
    pipeline: PipelineManifest, document: Located, lookup: Lookup, name: str, step: Step
) -> None:
    """What stands for the outputs of a step is of their types, and is all that is used of them."""
    for output, value in step.given.items():
        at: Location = ("steps", name, "given", output)
        made = source_type(pipeline, document, lookup, at, f"${{{name}.{output}}}")
        given = source_type(pipeline, document, lookup, at, value)
        if _is_list(pipeline, value):
            raise document.error(at, f"{value} is a list, and one value is needed here")
        if given != made and not (made == "file" and given in FILE_TYPES - {"directory"}):
            raise document.error(at, f"{value} is {given}, but {output!r} of {name} is {made}")
    for output in sorted(outputs_used(pipeline, name) ^ step.given.keys() if step.given else ()):
        if output in step.given:
            hint = "remove it"
            raise document.error(
                ("steps", name, "given", output), f"nothing uses {output!r} of {name}", hint
            )
        hint = f"add {output}: ${{inputs...}}"
        message = f"{output!r} of {name} is used too, and nothing stands for it"
        raise document.error(("steps", name, "given"), message, hint)


def outputs_used(pipeline: PipelineManifest, name: str) -> set[str]:
    """Outputs of a step that other steps use."""
    return {
        field
        for step in pipeline.steps.values()
        for value in (*step.with_.values(), *step.foreach.values())
        for source, field in references_in(value)
        if source == name
    }


def _check_literal(document: Located, at: Location, key: str, spec: InputSpec, value: Any) -> None:
    if spec.item_type in FILE_TYPES:
        raise document.error(at, f"{key!r} is a file: use a reference, never a path")
    try:
        coerce(key, spec, value)
    except InputError as error:
        raise document.error(at, error.message, error.hint) from None


def source_type(
    pipeline: PipelineManifest,
    document: Located,
    lookup: Lookup,
    at: Location,
    value: str,
    items: Mapping[str, str] = NO_ITEMS,
) -> str:
    """Type of what a reference names, that of one of them for a list; the same for every example
    that may make it, or it is an error. `items`: the foreach of the step that it stands in."""
    reference = parse_reference(value)
    assert reference is not None
    source, field = reference
    if source in items:
        kind = item_type(pipeline, document, lookup, at, items[source])
        if field and kind != ANY:
            raise document.error(at, f"${{{source}}} is {kind}: it has no fields")
        return kind
    if source == "inputs":
        return pipeline.inputs[field].item_type
    types: set[str] = set()
    for example in candidates(pipeline, pipeline.steps[source], None):
        manifest = _find(document, at, example, lookup)
        if field not in manifest.outputs:
            hint = did_you_mean(field, manifest.outputs)
            raise document.error(at, f"{example} has no output {field!r}", hint)
        types.add(output_spec(manifest, field, lookup).type)
    if len(types) > 1:
        raise document.error(
            at, f"{value} is {' or '.join(sorted(types))}, depending on the choice"
        )
    return types.pop()


def item_type(
    pipeline: PipelineManifest, document: Located, lookup: Lookup, at: Location, value: str
) -> str:
    """Type of the items that a foreach takes from `value`; ANY for those of a JSON list, which
    nobody knows before there are any."""
    kind = source_type(pipeline, document, lookup, at, value)
    reference = parse_reference(value)
    assert reference is not None
    if _is_list(pipeline, value):
        return ANY if kind == "json" and reference[0] == "inputs" else kind
    if kind != "json":
        hint = "foreach takes a list, or json that holds one"
        raise document.error(at, f"{value} is {kind}, not a list", hint)
    return ANY


def _is_list(pipeline: PipelineManifest, value: str, items: Mapping[str, str] = NO_ITEMS) -> bool:
    """Is it an input of type list, or made by a step that runs for each of some items?"""
    reference = parse_reference(value)
    assert reference is not None
    source, field = reference
    if source in items:
        return False
    if source == "inputs":
        return pipeline.inputs[field].type == "list"
    return bool(pipeline.steps[source].foreach)


def _check_formats(
    pipeline: PipelineManifest, document: Located, lookup: Lookup, value: str
) -> None:
    """What takes over can write every format that may be asked for by then."""
    reference = parse_reference(value)
    assert reference is not None
    step = pipeline.steps[reference[0]]
    for wanted in used_by(pipeline, step, None):
        asked = formats_of(output_spec(lookup(wanted), reference[1], lookup))
        for index, other in enumerate(step.fallback):
            has = formats_of(output_spec(lookup(other), reference[1], lookup))
            if missing := [name for name in asked if name not in has]:
                raise document.error(
                    ("steps", reference[0], "fallback", index),
                    f"{other} cannot write {reference[1]!r} as .{missing[0]}, which {wanted} can",
                )


def formats_of(spec: OutputSpec) -> tuple[str, ...]:
    """Extensions in which an output can be written; empty when that is left to who asks."""
    return () if spec.type in ("file", "directory") else spec.formats or extensions_for(spec.type)


def output_spec(
    manifest: Manifest, name: str, lookup: Lookup, inputs: Mapping[str, Any] | None = None
) -> OutputSpec:
    """The declaration behind an output; through a pipeline, that of the step that makes it. With
    `inputs`, by the choice that was made; without, by the first one."""
    output = manifest.outputs[name]
    if isinstance(output, OutputSpec):
        return output
    assert isinstance(manifest, PipelineManifest)
    reference = parse_reference(output)
    assert reference is not None
    step = manifest.steps[reference[0]]
    example = used_by(manifest, step, inputs)[0]
    return output_spec(lookup(example), reference[1], lookup)


def fits(given: str, spec: InputSpec) -> bool:
    """May a value of type `given` go into an input of `spec`?"""
    wanted = spec.item_type
    if given == wanted:
        return True
    if given == ANY:  # a path in somebody's JSON is no reference: files come from steps and inputs
        return wanted not in FILE_TYPES
    if wanted == "file":
        return given in FILE_TYPES - {"directory"}
    return (given, wanted) in (("choice", "string"), ("string", "choice"), ("integer", "number"))
