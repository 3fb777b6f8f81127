"""`cvl info`: one example in full."""

from __future__ import annotations

import click

from cvl.cli.options import catalog, common
from cvl.cli.suggestions import example_names
from cvl.cli.terminal import Terminal
from cvl.core.plain import to_plain
from cvl.ops.describe import describe
from cvl.store.config import load_config


@click.command()
@click.argument("example", shell_complete=example_names)
@common
def command(terminal: Terminal, example: str) -> int:
    """Show inputs, outputs and needs of an example.

    Needs no engine. How to run it: cvl run EXAMPLE predict --help
    """
    from cvl.cli.info_text import info_text

    config = load_config()
    found = catalog(terminal, config)
    info = describe(found, found.find(example), config.base_image)
    terminal.data(to_plain(info), info_text(info))
    return 0
