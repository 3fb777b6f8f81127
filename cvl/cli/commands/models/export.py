"""`cvl models export`: weights as one file."""

from __future__ import annotations

from pathlib import Path

import click

from cvl.cli.bundles import contents_of, table_of
from cvl.cli.options import common
from cvl.cli.suggestions import files
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.core.units import size
from cvl.errors import UsageError
from cvl.ops.weights.exporting import export


@click.command()
@selection
@click.option(
    "-o", "--output", required=True, metavar="FILE", shell_complete=files, help="bundle.tar"
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@progress
@common
def command(
    terminal: Terminal,
    words: tuple[str, ...],
    output: str,
    overwrite: bool,
    progress: str | None,
    quiet: bool,
) -> int:
    """Write the weights of a SELECTION, with their locks, into one file.

    For cvl models import on a machine without a network. A plain tar, whose bytes depend on the
    weights alone; every file is compared with its sha256 on the way.
    """
    if not words:
        raise UsageError("which weights?", hint="name an example or a repo")
    chosen, _ = selected(terminal, words)
    needs = [used.need for used in weights_of(chosen)]
    if not needs:
        raise UsageError(f"{' '.join(words)}: there are no weights to export")
    with working(terminal, progress, quiet) as session:
        done = export(session, needs, Path(output), overwrite=overwrite)
    data = {"path": str(done.path), "size": done.size, "weights": contents_of(done.bundle)}
    terminal.data(data, table_of(done.bundle))
    terminal.message(f"{done.path} has {size(done.size)}")
    return 0
