"""The declared inputs and outputs of an example as command-line options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from cvl.cli.options import EqualsCommand
from cvl.cli.suggestions import files, of_input
from cvl.core.graph import used_by
from cvl.core.manifest import InputSpec, Manifest, OutputSpec, PipelineManifest

INPUT, OUTPUT, STEP, DOT = "input__", "output__", "step__", "__dot__"


class ExampleOption(click.Option):
    """An option of the example's own; help shows its first spelling only."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        other = next((flag for flag in self.opts if "_" in flag), "")
        if record is None or not other:
            return record
        return re.sub(rf"(, |/){re.escape(other)}\b|/?--no_\w+", "", record[0]), record[1]


class ExampleCommand(EqualsCommand):
    """Help in two sections: what the example takes, and what cvl takes."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        ours: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                (own if isinstance(param, ExampleOption) else ours).append(record)
        for title, records in (("Inputs and outputs", own), ("Options of cvl", ours)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records, col_max=26)


def input_params(manifest: Manifest) -> list[click.Parameter]:
    """One option per input, underscore and hyphen both accepted. Values stay text: they are checked
    by the same code that checks an HTTP request."""
    return [_input_option(name, spec) for name, spec in manifest.inputs.items()]


def output_params(manifest: Manifest) -> list[click.Parameter]:
    """--output for the main one, and --output-NAME for each."""
    names = list(manifest.outputs)
    first = manifest.outputs[names[0]]
    default = f" [{first.default}]" if isinstance(first, OutputSpec) else ""
    params: list[click.Parameter] = [
        ExampleOption(
            ["--output", "-o", OUTPUT],
            metavar="PATH",
            help=f"Where {names[0]} goes.{default}",
            shell_complete=files,
        )
    ]
    if len(names) > 1:
        params += [_output_option(name, manifest.outputs[name]) for name in names]
    return params


def step_params(manifest: Manifest, tokens: list[str]) -> list[click.Parameter]:
    """`--talk.sway 0`: options of a pipeline's steps, as far as the command line uses any."""
    if not isinstance(manifest, PipelineManifest):
        return []
    used = {
        t.partition("=")[0] for t in tokens if t.startswith("--") and "." in t.partition("=")[0]
    }
    return [click.Option([name, _step_name(name)], hidden=True) for name in sorted(used)]


def all_step_params(
    manifest: PipelineManifest, lookup: Callable[[str], Manifest]
) -> list[click.Parameter]:
    """Every option of every example that a step may use, for a shell to offer."""
    params: dict[str, click.Parameter] = {}
    for step_name, step in manifest.steps.items():
        for used in used_by(manifest, step, None):
            for name, spec in lookup(used).inputs.items():
                flag = f"--{step_name}.{name.replace('_', '-')}"
                option = click.Option(
                    [flag, _step_name(flag)], help=spec.help, shell_complete=of_input(spec)
                )
                params.setdefault(flag, option)
    return list(params.values())


def _step_name(flag: str) -> str:
    """A Python name for `--step.option`; a dot is none in one."""
    return STEP + flag[2:].replace("-", "_").replace(".", DOT)


def _flags(name: str) -> list[str]:
    return list(dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}")))


def _input_option(name: str, spec: InputSpec) -> click.Option:
    flags = [*_flags(name), f"{INPUT}{name}"]
    if spec.type == "boolean":
        hyphen = name.replace("_", "-")
        both = [f"--{hyphen}/--no-{hyphen}", f"{INPUT}{name}"]
        if "_" in name:
            both.insert(1, f"--{name}/--no_{name}")
        return ExampleOption(both, default=None, help=_help(spec))
    return ExampleOption(
        flags,
        metavar=_metavar(spec),
        multiple=spec.type == "list",
        default=None,
        help=_help(spec),
        shell_complete=of_input(spec),
    )


def _metavar(spec: InputSpec) -> str:
    if spec.item_type == "choice":
        shown = "|".join(str(choice) for choice in spec.choices)
        return f"[{shown}]" if len(shown) <= 40 else "CHOICE"
    names = {"string": "TEXT", "integer": "N", "number": "X", "json": "JSON", "directory": "DIR"}
    return names.get(spec.item_type, "FILE")


def _help(spec: InputSpec) -> str:
    parts = [spec.help] if spec.help else []
    if spec.item_type == "choice" and len("|".join(map(str, spec.choices))) > 40:
        parts.append(f"One of: {', '.join(map(str, spec.choices))}.")
    if spec.min is not None and spec.max is not None:
        parts.append(f"[{spec.min:g} to {spec.max:g}]")
    if spec.type == "list":
        parts.append("(repeatable)")
    if spec.required:
        parts.append("[required]")
    elif spec.default is not None:
        shown = str(spec.default).lower() if isinstance(spec.default, bool) else str(spec.default)
        parts.append(f"[default: {shown}]")
    return " ".join(parts)


def _output_option(name: str, spec: OutputSpec | str) -> click.Option:
    flags = [f"--output-{name.replace('_', '-')}", f"{OUTPUT}{name}"]
    if "_" in name:
        flags.insert(1, f"--output-{name}")
    text = f"Where {name} goes."
    if isinstance(spec, OutputSpec) and spec.optional:
        text += " Made only when asked for."
    return ExampleOption(flags, metavar="PATH", help=text, shell_complete=files)


def split(
    values: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, str], dict[str, dict[str, Any]]]:
    """Parsed options as (inputs, outputs, options of steps); those not given are left out."""
    inputs: dict[str, Any] = {}
    outputs: dict[str, str] = {}
    steps: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if value is None or value == ():
            continue
        if key.startswith(INPUT):
            inputs[key[len(INPUT) :]] = list(value) if isinstance(value, tuple) else value
        elif key.startswith(OUTPUT):
            outputs[key[len(OUTPUT) :]] = value
        elif key.startswith(STEP):
            step, _, name = key[len(STEP) :].partition(DOT)
            steps.setdefault(step, {})[name] = value
    return inputs, outputs, steps
