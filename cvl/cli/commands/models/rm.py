"""`cvl models rm`: remove weights."""

from __future__ import annotations

import click

from cvl.cli.options import common
from cvl.cli.removals import check_asking, options, settle
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import selected, selection
from cvl.errors import UsageError
from cvl.ops.session import Session
from cvl.ops.weights.removing import plan_rm


@click.command()
@selection
@options
@common
def command(
    terminal: Terminal, words: tuple[str, ...], dry_run: bool, yes: bool, quiet: bool
) -> int:
    """Remove the weights of a SELECTION from this machine.

    Whole repos, all revisions. Weights of an example that another one needs too stay unless they
    are named themselves. What is in use is left alone, and so are pins: fetched again, it is the
    same commit.
    """
    if not words:
        raise UsageError("which weights?", hint="cvl models list shows them")
    check_asking(terminal, dry_run=dry_run, yes=yes)
    terminal.quiet = quiet
    chosen, uses = selected(terminal, words)
    session = Session()
    planned = plan_rm(session, chosen, uses)
    return settle(terminal, session, planned, dry_run=dry_run, yes=yes)
