"""`cvl models outdated`: pins against what the hub says now."""

from __future__ import annotations

import click

from cvl.cli.comparisons import data_of, table_of
from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.ops.weights.needs import RepoNeed
from cvl.ops.weights.updating import compare, together


@click.command()
@selection
@progress
@common
def command(terminal: Terminal, words: tuple[str, ...], progress: str | None, quiet: bool) -> int:
    """Compare pins with what the hub says now: of a SELECTION, or of all examples.

    Says which of the wanted files change and how many bytes that is to fetch. Changes nothing, and
    exits with 0 whatever is outdated.
    """
    chosen, uses = selected(terminal, words)
    needs = [used.need for used in weights_of(chosen) if isinstance(used.need, RepoNeed)]
    all_needs = [used.need for used in uses.weights if isinstance(used.need, RepoNeed)]
    with working(terminal, progress, quiet) as session:
        found = [compare(session, need) for need in together(session, needs, all_needs)]
    for one in found:
        if one.problem:
            terminal.message(one.problem)
    if not found:
        terminal.message("no example here uses weights from the hub")
    terminal.data(data_of(found), table_of(found))
    return 0
