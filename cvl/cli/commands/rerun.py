"""`cvl rerun`: a file again, from what it says of how it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cvl.cli.commands.run import (
    early_examples,
    listen,
    positionals,
    runner_options,
    runner_params,
    settings_of,
)
from cvl.cli.example_options import (
    DOT,
    INPUT,
    STEP,
    ExampleCommand,
    ExampleOption,
    output_params,
    split,
)
from cvl.cli.options import catalog
from cvl.cli.terminal import Terminal
from cvl.errors import UsageError
from cvl.ops.examples import Example
from cvl.store.config import load_config

if TYPE_CHECKING:
    from cvl.core.provenance import Provenance

DECIDED = ("seed", "count", "junit")
"""Options of run that the file decides, or that make no sense for one."""


def _own_params() -> list[click.Parameter]:
    changed = click.Option(
        ["--changed"], is_flag=True, help="Take files that are not those it was made with."
    )
    return [changed, *(param for param in runner_params() if param.name not in DECIDED)]


class RerunCommand(click.Command):
    """Finds the file among the options, then parses with the options that the file needs."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if not extra.get("resilient_parsing"):
            return super().make_context(info_name, args, parent, **extra)
        from cvl.cli.completing import rerun_command

        return rerun_command(self.params).make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words, rest = positionals(self.params, args, 1)
        if not words:
            if {"--help", "-h"} & set(args):
                click.echo(self.get_help(ctx))
                ctx.exit()
            raise UsageError("which file?", hint="cvl rerun FILE")
        ctx.meta["file"], ctx.meta["rest"] = words[0], rest
        return []


@click.command(
    cls=RerunCommand,
    params=_own_params(),
    options_metavar="",
    epilog="cvl rerun FILE --help shows the files that it needs.",
)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> int:
    """Make a file again: cvl rerun FILE [--output PATH] [options]

    Same example, arguments and seed. Files that went in are found among cvl's results by their
    content; others have to be given by the name of their input: --image me.jpg
    """
    from cvl.ops.rerun import provenance_in

    terminal: Terminal = ctx.obj
    file, rest = ctx.meta["file"], ctx.meta["rest"]
    config = load_config()
    terminal.examples = early_examples(rest)
    found = catalog(terminal, config)
    made_by = provenance_in(Path(file))
    values = _parse(ctx, found.find(made_by.example), made_by, rest)
    if values is None:
        return 0
    listen(terminal, values)
    return _run(terminal, found, made_by, values, config)


def _parse(
    ctx: click.Context, example: Example, made_by: Provenance, rest: list[str]
) -> dict[str, Any] | None:
    """The options as values, or None when --help was answered."""
    params = [*_file_params(example, made_by), *output_params(example.manifest), *_own_params()]
    sub = ExampleCommand("FILE", params=params, help=f"Run {example.name} as the file says.")
    context = click.Context(sub, info_name="cvl rerun FILE", max_content_width=80)
    context.help_option_names = ["-h", "--help"]
    try:
        sub.parse_args(context, rest)
    except click.exceptions.Exit:
        return None
    return dict(context.params)


def _file_params(example: Example, made_by: Provenance) -> list[click.Parameter]:
    """One option for each file that went in, spelled as for `cvl run`."""
    params: list[click.Parameter] = []
    for name, refs in made_by.files.items():
        step, dot, field = name.rpartition(".")
        if not dot and name not in example.manifest.inputs:
            continue
        text = f"The file with sha256 {refs[0].sha256[:16]}…" if refs else ""
        spelled = list(dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}")))
        place = f"{STEP}{step}{DOT}{field}" if dot else f"{INPUT}{name}"
        many = len(refs) > 1
        params.append(
            ExampleOption([*spelled, place], metavar="FILE", multiple=many, default=None, help=text)
        )
    return params


def _run(
    terminal: Terminal, found: Any, made_by: Provenance, values: dict[str, Any], config: Any
) -> int:
    from cvl.cli import running
    from cvl.ops.inspecting import code_now
    from cvl.ops.rerun import Given, ran_on_host, request_again
    from cvl.store.dirs import find_dirs
    from cvl.store.results import Results

    inputs, outputs, steps = split(values)
    given = Given(
        inputs, steps, {(n or ""): path for n, path in outputs.items()}, values["changed"]
    )
    options = runner_options(values, config)
    request = request_again(found, Results(find_dirs().results), made_by, given, options)
    for code in code_now(found, made_by):
        if code.state == "changed":
            terminal.message(
                f"note: the code of {code.example} has changed since: so may the result"
            )
    settings = settings_of(values, config)
    if not settings.engine_named and ran_on_host(made_by):
        settings = replace(settings, engine="venv")
    return running.predict(terminal, settings, found, request)
