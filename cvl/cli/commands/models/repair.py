"""`cvl models repair`: fetch what is bad."""

from __future__ import annotations

import click

from cvl.cli.commands.models.verify import data_of, trouble
from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.cli.weights_options import progress, selected, selection, weights_of, working
from cvl.core.units import size
from cvl.ops.weights.verifying import repair


@click.command()
@selection
@progress
@common
def command(terminal: Terminal, words: tuple[str, ...], progress: str | None, quiet: bool) -> int:
    """Verify a SELECTION, or all examples within reach, and fetch what is bad or missing.

    Files that are right are left alone. What was fetched is verified again.
    """
    chosen, _ = selected(terminal, words)
    with working(terminal, progress, quiet) as session:
        found = [repair(session, used) for used in weights_of(chosen)]
    data = {
        "weights": [
            {**data_of(done.after), "fetched": list(done.files), "size": done.size}
            for done in found
        ]
    }
    files = sum(len(done.files) for done in found)
    total = sum(done.size for done in found)
    terminal.message(f"fetched {files} files, {size(total)}" if files else "nothing was bad")
    bad = [done.after for done in found if not done.after.sound]
    if not bad:
        names = [f"{done.after.used.name} {path}" for done in found for path in done.files]
        terminal.data(data, "\n".join(names))
        return 0
    error = trouble(bad)
    terminal.fail(error, data)
    return error.status
