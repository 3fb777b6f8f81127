"""`cvl models update`: move pins to what the hub says now."""

from __future__ import annotations

import click

from cvl.cli.comparisons import data_of, table_of
from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.updating import Comparison, together, update


@click.command()
@selection
@progress
@common
def command(terminal: Terminal, words: tuple[str, ...], progress: str | None, quiet: bool) -> int:
    """Move the pins of a SELECTION, or of all examples, to what the hub says now.

    A pin moves when all wanted files of the new commit are here and were read; until then the old
    one is in force. What did not change is not fetched again. The files of the old commit stay
    until cvl models prune.
    """
    chosen, uses = selected(terminal, words)
    needs = [used.need for used in weights_of(chosen) if isinstance(used.need, RepoNeed)]
    all_needs = [used.need for used in uses.weights if isinstance(used.need, RepoNeed)]
    found: list[Comparison] = []
    with working(terminal, progress, quiet) as session:
        for need in together(session, needs, all_needs):
            found.append(update(session, need))
            _tell(terminal, found[-1])
    terminal.data(data_of(found), table_of(found))
    return 0


def _tell(terminal: Terminal, one: Comparison) -> None:
    if one.state == "current":
        terminal.message(f"{one.repo} is at {one.new[:12]}, as the hub says")
    elif one.state == "fixed":
        terminal.message(f"{one.repo} is fixed by its manifest, which names {one.new[:12]}")
    else:
        before = f" ({one.old[:12]} before)" if one.old else ""
        terminal.message(f"{one.repo} is at {one.new[:12]} now{before}")
