"""`cvl info` for a person: sections of two columns, wrapped to the terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from cvl.cli.units import width
from cvl.core.licensing import Terms, use_of
from cvl.core.manifest import InputSpec, ModelLicense, OutputSpec, Resources, Weights
from cvl.core.names import as_option, one_line
from cvl.core.units import size
from cvl.ops.describe import Info, ModelInfo, StepInfo

Row = tuple[str, str]


def info_text(info: Info) -> str:
    """Everything of an example, section by section; empty sections are left out."""
    sections: list[tuple[str, list[Row]]] = [
        ("", list(_head(info))),
        ("inputs", [(as_option(name), _input(s)) for name, s in info.inputs.items()]),
        ("outputs", [(name, _output(spec)) for name, spec in info.outputs.items()]),
        ("steps", [(s.name, _step(s)) for s in info.steps]),
    ]
    if info.model is not None:
        sections += _model(info.model)
    shown = [_section(title, rows) for title, rows in sections if rows]
    return "\n\n".join([_wrap(f"{info.name} - {info.summary}", ""), *shown])


def _section(title: str, rows: list[Row]) -> str:
    longest = min(24, max(len(name) for name, _ in rows))
    lines = [title] if title else []
    for name, text in rows:
        lines.append(_wrap(text, f"  {name:<{longest}}  ", " " * (longest + 4)))
    return "\n".join(lines)


def _wrap(text: str, first: str, later: str = "") -> str:
    """Wrapped on a terminal; whole where a program reads it."""
    columns, text = width(), one_line(text)
    if columns is None:
        return f"{first}{text}".rstrip()
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(
        text, max(columns, 40), initial_indent=first, subsequent_indent=later, **options
    ).rstrip()


def _head(info: Info) -> Iterator[Row]:
    yield "kind", info.kind
    yield "tasks", ", ".join(info.tasks) or "-"
    yield "folder", info.folder
    yield "found by", info.source
    if info.model is not None:
        stated = info.model.license
        yield "license", str(Terms(stated.code, stated.weights, stated.commercial))
        for text in (info.model.upstream.repo, info.model.upstream.paper):
            if text:
                yield "agrees with", text
        yield "image", info.model.image or "named when it is built: its base is not pinned"
        yield "runs in", ", ".join(info.model.engines)
        yield "trust", info.model.trust
        if info.model.network:
            yield "network", "used while it predicts"
        if info.model.secrets:
            yield "secrets", ", ".join(info.model.secrets)


def _input(spec: InputSpec) -> str:
    kind = f"list of {spec.item_type}" if spec.type == "list" else spec.type
    parts = [f"{kind};"]
    parts += [f"{spec.help.rstrip('.')}."] if spec.help else []
    parts += [_range(spec)] if spec.min is not None or spec.max is not None else []
    if spec.choices:
        parts.append(f"One of: {', '.join(map(str, spec.choices))}.")
    parts += [f"[{text}]" for text in _limits(spec)]
    if spec.required:
        parts.append("[required]")
    elif spec.default is not None:
        parts.append(f"[default: {_value(spec.default)}]")
    return " ".join(parts)


def _range(spec: InputSpec) -> str:
    if spec.min is not None and spec.max is not None:
        return f"[{spec.min:g} to {spec.max:g}]"
    return f"[at least {spec.min:g}]" if spec.min is not None else f"[at most {spec.max:g}]"


def _limits(spec: InputSpec) -> Iterator[str]:
    limits = (
        (spec.max_length, "characters"),
        (spec.max_items, "items"),
        (spec.max_seconds, "s"),
        (spec.max_pixels, "pixels"),
    )
    for limit, unit in limits:
        if limit is not None:
            yield f"at most {limit:g} {unit}" if limit < 10**6 else f"at most {limit:.0f} {unit}"
    if spec.pattern is not None:
        yield f"matches {spec.pattern}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _output(spec: OutputSpec) -> str:
    parts = [f"{spec.type};", f"{spec.help.rstrip('.')}." if spec.help else ""]
    parts.append(f"[default: {spec.default}]")
    if spec.formats:
        parts.append(f"[formats: {', '.join(spec.formats)}]")
    if spec.optional:
        parts.append("Made only when asked for.")
    return " ".join(part for part in parts if part)


def _step(step: StepInfo) -> str:
    values = ", ".join(f"{name} = {_value(value)}" for name, value in step.given.items())
    parts = [" or ".join(step.uses)]
    parts += [f"with {values}"] if values else []
    parts += [f"for each {name} of {source}" for name, source in step.foreach.items()]
    parts += [f"else {', else '.join(step.fallback)}"] if step.fallback else []
    given = ", ".join(f"{name} = {source}" for name, source in step.unless.items())
    parts += [f"unless given {given}"] if given else []
    return " ".join(parts)


def _model(model: ModelInfo) -> list[tuple[str, list[Row]]]:
    rungs = [
        (rung.mode, f"{rung.vram_gb:g} GB" + ("" if rung.exact else ", changes the result"))
        for rung in model.offload
    ]
    listed = model.license.models
    return [
        ("needs", list(_resources(model.resources))),
        ("offload, best first", rungs),
        ("dtypes", [(dtype, "") for dtype in model.dtypes]),
        ("weights", [(_weights_name(item), _weights(item)) for item in model.weights]),
        ("licences of other weights", [(name, _license(of)) for name, of in listed.items()]),
    ]


def _resources(needs: Resources) -> Iterator[Row]:
    yield "GPU", _gpu(needs)
    for name, amount in (("memory", needs.ram_gb), ("disk", needs.disk_gb)):
        if amount:
            yield name, f"{amount:g} GB"
    if needs.memory_limit_gb:
        yield "limit", f"{needs.memory_limit_gb:g} GB of memory"


def _gpu(needs: Resources) -> str:
    if needs.gpu == "none":
        return "none"
    parts = [f"{needs.gpu}, {needs.gpus}"]
    if needs.vram_gb:
        parts.append(f"{needs.vram_gb:g} GB")
    if needs.min_compute_capability:
        parts.append(f"compute capability {needs.min_compute_capability} or newer")
    return ", ".join(parts)


def _license(license: ModelLicense) -> str:
    return f"{license.weights}, {use_of(license.commercial)}"


def _weights_name(weights: Weights) -> str:
    return weights.repo or weights.to or weights.url.rpartition("/")[2]


def _weights(weights: Weights) -> str:
    amount = weights.size_gb * 1e9 if weights.size_gb is not None else weights.size
    parts: list[str] = [] if amount is None else [size(amount)]
    parts.append(weights.format)
    parts.append(f"revision {weights.revision}" if weights.repo else weights.url)
    parts += ["gated"] if weights.gated else []
    parts += [weights.license.weights] if weights.license else []
    parts += [f"only with {as_option(name)} {value}" for name, value in weights.when.items()]
    return ", ".join(parts)
