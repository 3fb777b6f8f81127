"""`cvl shell`: look around where a step ran."""

from __future__ import annotations

import signal
import sys

import click

from cvl.cli.options import catalog, common
from cvl.cli.progress import make_report
from cvl.cli.suggestions import one_of, run_ids, step_names
from cvl.cli.terminal import Terminal
from cvl.errors import StepError, UsageError
from cvl.ops.session import Session
from cvl.store.config import load_config


@click.command()
@click.argument("run", shell_complete=run_ids)
@click.option(
    "--step", default="", metavar="NAME", help="The latest without it.", shell_complete=step_names
)
@click.option("-c", "--command", "line", metavar="LINE", help="Run this and leave again.")
@click.option(
    "--gpus", metavar="SPEC", help="Another GPU, or none.", shell_complete=one_of("all", "none")
)
@common
def command(terminal: Terminal, run: str, step: str, line: str | None, gpus: str | None) -> int:
    """Open a shell where a step of a run ran, or would have run.

    RUN is an id, the beginning of one, or "last". Image, inputs and limits are those of the step:
    no network, a read-only root, you as the user; /cvl/out, /cvl/scratch and /tmp can be written
    to. Nothing of it is kept. Ends with the exit code of the shell or of --command.
    """
    from cvl.ops.shell import Wanted, open_shell

    if line is None and (terminal.json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("a shell needs a terminal", hint="--command 'ls -l /cvl/inputs'")
    config = load_config()
    session = Session(base_image=config.base_image, build_network=config.build_network)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda number, frame: session.cancel.request(number))
    printed: list[bytes] = []
    output = printed.append if terminal.json else None
    with make_report("plain") as report:
        session.report = report
        wanted = Wanted(run, step, line, gpus or config.gpus or None, output)
        visited = open_shell(session, catalog(terminal, config), wanted)
    data = {
        "run": visited.run,
        "step": visited.step,
        "example": visited.example,
        "image": visited.image,
        "status": visited.status,
        "output": b"".join(printed).decode(errors="replace"),
    }
    if terminal.json and visited.status:
        told = StepError(f"it ended with exit code {visited.status}", code="command_failed")
        terminal.fail(told, data)
    else:
        terminal.data(data, "")
    return visited.status
