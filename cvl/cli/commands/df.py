"""`cvl df`: where the space went."""

from __future__ import annotations

from dataclasses import asdict

import click

from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.core.units import size
from cvl.ops.session import Session
from cvl.ops.usage import disk_usage

HEADINGS = ["KIND", "EXAMPLE", "COUNT", "SIZE"]
NOBODY = {"results": "(unknown)", "runs": "(unknown)", "weights": "(other programs)"}


@click.command()
@common
def command(terminal: Terminal) -> int:
    """Show where the space went, by kind and by example.

    Images share layers, so together they take less than the sum of their sizes. Weights are in the
    Hugging Face cache, which is not cvl's alone. cvl gc removes what is no longer needed, and never
    weights.
    """
    found = disk_usage(Session(), catalog(terminal))
    for note in found.notes:
        terminal.message(note)
    rows = [
        [row.kind, row.example or NOBODY.get(row.kind, "-"), str(row.count), size(row.size)]
        for row in found.rows
    ]
    data = {
        "usage": [asdict(row) for row in found.rows],
        "size": found.size,
        "notes": list(found.notes),
    }
    terminal.data(data, fitted(HEADINGS, rows, {"EXAMPLE": 16}))
    return 0
