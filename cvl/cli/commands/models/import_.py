"""`cvl models import`: weights from a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from cvl.cli.bundles import contents_of, table_of
from cvl.cli.options import common
from cvl.cli.suggestions import files
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import progress, working
from cvl.core.units import size
from cvl.ops.weights.importing import import_bundle


@click.command("import")
@click.argument("bundle", shell_complete=files)
@progress
@common
def command(terminal: Terminal, bundle: str, progress: str | None, quiet: bool) -> int:
    """Take the weights of a BUNDLE that cvl models export wrote.

    All of it is read and compared first; one that is damaged, or not as export writes it, is
    refused and leaves nothing behind. Uses no network. Revisions mean the commits of the bundle
    from then on.
    """
    with working(terminal, progress, quiet) as session:
        done = import_bundle(session, Path(bundle))
    for repo, before in done.moved.items():
        terminal.message(f"{repo} was at {before[:12]} before")
    data = {
        "fetched": done.fetched,
        "weights": contents_of(done.bundle),
        "moved": [{"weights": repo, "before": before} for repo, before in done.moved.items()],
    }
    terminal.data(data, table_of(done.bundle))
    terminal.message(f"{size(done.fetched)} were not here yet")
    return 0
