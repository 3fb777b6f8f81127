"""`cvl df`: where the space went."""

from __future__ import annotations

from dataclasses import asdict

import click

from cvl.cli.options import common
from cvl.cli.terminal import Terminal, table
from cvl.cli.units import size
from cvl.ops.session import Session
from cvl.ops.usage import disk_usage

HEADINGS = ["KIND", "EXAMPLE", "COUNT", "SIZE"]


@click.command()
@common
def command(terminal: Terminal) -> int:
    """Show where the space went, by kind and by example.

    Images share layers, so together they take less than the sum of their sizes. cvl gc removes what
    is no longer needed.
    """
    found = disk_usage(Session())
    for note in found.notes:
        terminal.message(note)
    rows = [[row.kind, row.example or "-", str(row.count), size(row.size)] for row in found.rows]
    data = {
        "usage": [asdict(row) for row in found.rows],
        "size": found.size,
        "notes": list(found.notes),
    }
    terminal.data(data, table(HEADINGS, rows))
    return 0
