"""From a pipeline's step to a node: the values that flow into it, and the outputs wanted of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cvl.core.graph import output_spec, outputs_used
from cvl.core.inputs import resolve_inputs
from cvl.core.manifest import Manifest, PipelineManifest, Step
from cvl.core.plan import OutputRequest
from cvl.core.references import parse_reference
from cvl.errors import InputError
from cvl.ops.examples import Example
from cvl.ops.fallback import named_within
from cvl.ops.items import Item, items_of
from cvl.ops.node import Node
from cvl.ops.request import output_request
from cvl.store.outputs import Produced
from cvl.store.staging import CheckedFile, check_file, open_files

Made = Produced | list[Produced]


@dataclass(frozen=True)
class Wiring:
    """A pipeline's node, and what its steps made so far (one value per output, or a list of a step
    that ran for each of some items)."""

    node: Node
    manifest: PipelineManifest
    made: dict[str, dict[str, Made]]

    def full_name(self, name: str, item: Item | None) -> str:
        """`clip`, `clip.3` for an item, with the steps around it in front."""
        return f"{self.node.prefix}{name}" + ("" if item is None else f".{item.index}")

    def items(self, step: Step) -> list[Item]:
        """The items that a step runs for."""
        source = next(iter(step.foreach.values()))
        return items_of(source, self._value(source, step, None))

    def node_of(self, name: str, used: str, item: Item | None) -> Node:
        """The node of one step (of one item of it) with example `used`, with the values that
        earlier steps made. InputError when the example does not take them."""
        step = self.manifest.steps[name]
        example = self.node.catalog.find(used)
        given = {key: self._value(value, step, item) for key, value in step.with_.items()}
        options = self.node.overrides.get(name, {})
        full_name = self.full_name(name, item)
        return replace(
            self.node,
            example=example,
            step=full_name,
            prefix=f"{full_name}.",
            values=_checked(example.manifest, {**given, **options}),
            outputs=self.wanted(name, example),
            overrides={},
            named=named_within(self.node, step, options),
        )

    def _value(self, value: Any, step: Step, item: Item | None) -> Any:
        if isinstance(value, list):
            return [self._value(part, step, item) for part in value]
        reference = parse_reference(value)
        if reference is None:
            return value
        source, field = reference
        if item is not None and source in step.foreach:
            return item.field(field)
        return self.node.values[field] if source == "inputs" else self.made[source][field]

    def wanted(self, name: str, example: Example) -> dict[str, OutputRequest]:
        """Outputs of a step that something uses; what the pipeline gives out has its format."""
        wanted: dict[str, OutputRequest] = {}
        for output, value in self.manifest.outputs.items():
            reference = parse_reference(value)
            if reference and reference[0] == name and output in self.node.outputs:
                spec = output_spec(example.manifest, reference[1], self.node.lookup)
                wanted[reference[1]] = replace(self.node.outputs[output], expect=spec.expect)
        for field in sorted(outputs_used(self.manifest, name) - wanted.keys()):
            spec = output_spec(example.manifest, field, self.node.lookup)
            wanted[field] = output_request(field, spec, spec.default)
        return wanted

    def outputs(self) -> dict[str, Produced]:
        """What the pipeline gives out, once all is made."""
        outputs = {}
        for name in self.node.outputs:
            reference = parse_reference(self.manifest.outputs[name])
            assert reference is not None
            produced = self.made[reference[0]][reference[1]]
            assert isinstance(produced, Produced)  # the graph check refuses a list
            outputs[name] = produced
        return outputs


def _checked(manifest: Manifest, given: dict[str, Any]) -> dict[str, Any]:
    """Every input of `manifest`: files that are there already are only looked at as what they
    become, everything else is resolved as if somebody had typed it."""
    files = {key: value for key, value in given.items() if _is_file(value)}
    plain = {key: value for key, value in given.items() if key not in files}
    specs = {key: spec for key, spec in manifest.inputs.items() if key not in files}
    if unknown := files.keys() - manifest.inputs.keys():
        raise InputError(f"{manifest.name} has no input {min(unknown)!r}")
    values = {
        key: open_files(key, manifest.inputs[key], value)
        for key, value in resolve_inputs(specs, plain, manifest.name).items()
    }
    for key, value in files.items():
        values[key] = _as_input(key, manifest, value)
    return values


def _is_file(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, CheckedFile | Produced) for item in items)


def _as_input(name: str, manifest: Manifest, value: Any) -> Any:
    """What an earlier step made, checked as an input like any other file."""
    if isinstance(value, list):
        most = manifest.inputs[name].max_items
        if most is not None and len(value) > most:
            raise InputError(f"--{name} takes {most} items at most, not {len(value)}")
        return [_as_input(name, manifest, item) for item in value]
    if isinstance(value, Produced):
        checked = check_file(name, manifest.inputs[name], str(value.path))
        known = "" if checked.folder else value.sha256
        return replace(checked, extension=checked.extension or value.extension, sha256=known)
    return value
