"""`cvl init`: a new example that runs at once."""

from __future__ import annotations

import json
import os
import shlex

import click

from cvl.cli.options import catalog, common
from cvl.cli.suggestions import folders
from cvl.cli.terminal import Terminal
from cvl.ops.scaffold import Written, new_example


@click.command()
@click.argument("name")
@click.option("--pipeline", is_flag=True, help="A pipeline of two steps instead of a model.")
@click.option(
    "--dir", "folder", metavar="DIR", help="Folder to put it into.", shell_complete=folders
)
@common
def command(terminal: Terminal, name: str, pipeline: bool, folder: str | None) -> int:
    """Write a new example: a folder NAME that runs at once.

    It goes into --dir, else ./examples if there is one, else the working folder. Nothing that is
    there is ever touched. Its files say what they are for.
    """
    made = new_example(catalog(terminal), name, "pipeline" if pipeline else "model", folder)
    tried = _commands(made)
    if not made.within_reach:
        parent = os.path.dirname(made.folder)
        terminal.message(
            f"cvl finds it with --examples {_shown(parent)}, or always when your cvl.toml says: "
            f"examples = [{json.dumps(parent)}]"
        )
    for line in tried:
        terminal.message(f"try: {line}")
    data = {
        "name": made.name,
        "kind": made.kind,
        "folder": str(made.folder),
        "files": list(made.files),
        "within_reach": made.within_reach,
        "try": tried,
    }
    terminal.data(data, [str(made.folder)])
    return 0


def _commands(made: Written) -> list[str]:
    """What to type next."""
    sample = _shown(str(made.folder / "samples"))
    given = {
        "model": f"--audio {sample}/tune.wav",
        "pipeline": f'--text "Hello" --image {sample}/portrait.jpg',
    }[made.kind]
    # Also where cvl finds it by itself: it is only run when somebody says that they trust it.
    reach = f" --examples {_shown(os.path.dirname(made.folder))}"
    return [
        f"cvl run {made.name} test{reach}",
        f"cvl run {made.name} predict {given}{reach}",
    ]


def _shown(path: str) -> str:
    """The shorter of the absolute and the relative path, for a shell."""
    return shlex.quote(min(os.path.relpath(path), path, key=len))
