"""Options that every command has, and what they turn into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cvl.cli.suggestions import folders
from cvl.cli.terminal import Terminal
from cvl.ops.examples import Catalog
from cvl.store.config import Config, load_config


class EqualsCommand(click.Command):
    """Takes `-o=NAME` for `--output=NAME`, which is what it means."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _equals(args, self.params))


def _equals(args: list[str], params: list[click.Parameter]) -> list[str]:
    """click would take the = for a part of the name. Words that are values are left alone."""
    options = [param for param in params if isinstance(param, click.Option)]
    pairs = [sorted(o.opts, key=len) for o in options if len(o.opts) == 2]
    long = {short: name for short, name in pairs if len(short) == 2}
    takes_value = {flag for o in options if not o.is_flag for flag in o.opts}
    result: list[str] = []
    is_value = False
    for word in args:
        flag, equals, value = word.partition("=")
        spelled = not is_value and equals and flag in long
        result.append(f"{long[flag]}={value}" if spelled else word)
        is_value = not is_value and word in takes_value
    return result


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """--examples, --json and --debug; the command gets the Terminal as its first argument."""
    function = click.pass_obj(_with_terminal(function))
    for option in reversed(common_params()):
        function = option(function)
    return function


def common_params() -> list[Callable[..., Any]]:
    """The decorators of the shared options."""
    return [
        click.option(
            "--examples",
            multiple=True,
            metavar="DIR",
            help="Folder with examples (repeatable).",
            shell_complete=folders,
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--debug", is_flag=True, help="Show tracebacks."),
    ]


def _with_terminal(function: Callable[..., Any]) -> Callable[..., Any]:
    import functools

    @functools.wraps(function)
    def call(terminal: Terminal, *args: Any, **options: Any) -> Any:
        terminal.examples = tuple(options.pop("examples"))
        terminal.json = options.pop("as_json")
        terminal.debug = options.pop("debug")
        return function(terminal, *args, **options)

    return call


def catalog(terminal: Terminal, config: Config | None = None) -> Catalog:
    """The examples within reach of this command."""
    config = config or load_config()
    return Catalog(terminal.examples, config.examples, config.found_examples)
