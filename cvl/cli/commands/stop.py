"""`cvl stop`: end runs in order."""

from __future__ import annotations

from dataclasses import asdict

import click

from cvl.cli.options import common
from cvl.cli.suggestions import running_ids
from cvl.cli.terminal import Terminal
from cvl.errors import UsageError
from cvl.ops.runs import find_run, running
from cvl.ops.session import Session
from cvl.ops.stop import Stopped, failure_of, stop_runs

SAID = {
    "stopped": "stopped",
    "cleaned": "its process had died; cleaned up after it",
    "ended": "had ended before",
    "still_running": "still runs",
    "not_ours": "cannot be stopped from here",
}


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=running_ids)
@click.option("--all", "everything", is_flag=True, help="Every run that goes on.")
@click.option("--now", is_flag=True, help="Kill containers instead of asking them to end.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=30, metavar="S", show_default=True,
    help="How long to wait for the end.",
)  # fmt: skip
@common
def command(
    terminal: Terminal, runs: tuple[str, ...], everything: bool, now: bool, timeout: float
) -> int:
    """Stop runs, and wait until they have cleaned up.

    RUN is an id, the beginning of one, or "last".
    """
    if bool(runs) == everything:
        raise UsageError("which run?", hint="name one, or give --all; cvl ps shows them")
    session = Session()
    records = running(session) if everything else [find_run(session, word) for word in runs]
    unique = list({record.id: record for record in records}.values())
    stopped = stop_runs(session, unique, timeout, now=now) if unique else []
    if not stopped:
        terminal.message("nothing is running")
    return _tell(terminal, stopped, timeout)


def _tell(terminal: Terminal, stopped: list[Stopped], timeout: float) -> int:
    for item in stopped:
        terminal.message(f"{item.run}: {SAID[item.outcome]}")
    ended = [item.run for item in stopped if item.outcome not in ("still_running", "not_ours")]
    data = {"runs": [asdict(item) for item in stopped]}
    failure = failure_of(stopped, timeout)
    if failure is None or not terminal.json:
        terminal.data(data, "\n".join(ended))
    if failure is None:
        return 0
    terminal.fail(failure, data)
    return failure.status
