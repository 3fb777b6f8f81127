"""`cvl completion`: the script that makes a shell complete what is typed after `cvl`."""

from __future__ import annotations

import click

from cvl.cli.options import common
from cvl.cli.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@common
def command(terminal: Terminal, shell: str) -> int:
    """Print the completion script of a shell.

    \b
    bash: echo 'eval "$(cvl completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(cvl completion zsh)"' >> ~/.zshrc
    fish: cvl completion fish > ~/.config/fish/completions/cvl.fish

    It completes commands, options, examples with their inputs and choices, options of steps, files
    and runs, and asks no engine.
    """
    from cvl.cli.app import app
    from cvl.cli.completing import script

    text = script(app, shell)
    terminal.data({"shell": shell, "script": text}, text)
    return 0
