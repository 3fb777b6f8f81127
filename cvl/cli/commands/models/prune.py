"""`cvl models prune`: remove what nothing names."""

from __future__ import annotations

import click

from cvl.cli.options import common
from cvl.cli.removals import check_asking, options, settle
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import selected
from cvl.ops.session import Session
from cvl.ops.weights.removing import plan_prune


@click.command()
@options
@common
def command(terminal: Terminal, dry_run: bool, yes: bool, quiet: bool) -> int:
    """Remove what nothing names, and what killed downloads left.

    Revisions of repos that no branch, tag, pin or example names, unfinished downloads that nobody
    writes to, and files from URLs that no example within reach names. What is in use, or was
    changed in the last ten minutes, is left alone.
    """
    check_asking(terminal, dry_run=dry_run, yes=yes)
    terminal.quiet = quiet
    _, uses = selected(terminal, ())
    session = Session()
    planned = plan_prune(session, uses)
    return settle(terminal, session, planned, dry_run=dry_run, yes=yes)
