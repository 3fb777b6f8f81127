"""Groups of commands whose modules are loaded when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cvl.core.names import did_you_mean
from cvl.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """commands: name -> (module below `package`, one line of help). Importing a command imports
    what it needs, so the table does not; `--help` loads none."""

    table: Mapping[str, tuple[str, str]]

    def __init__(
        self,
        *arguments: Any,
        table: Mapping[str, tuple[str, str]],
        package: str,
        path: str,
        **settings: Any,
    ) -> None:
        """path: what is typed before a command, `cvl`."""
        super().__init__(*arguments, **settings)
        self.table, self._package, self._path = table, package, path

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.table:
            return None
        module = importlib.import_module(f"{self._package}.{self.table[name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.table and not args[0].startswith("-"):
            raise UsageError(
                f"there is no command {args[0]!r}",
                hint=did_you_mean(args[0], self.table, f"{self._path} "),
                code="unknown_command",
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """click's own loads every command to ask whether it is hidden."""
        from cvl.cli.suggestions import items

        words = ((name, text) for name, (_, text) in self.table.items())
        return items(words, incomplete) + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])
