"""`cvl ps`: what runs, and what ran."""

from __future__ import annotations

import time
from typing import Any

import click

from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.cli.units import age, fitted
from cvl.ops.runs import SHOWN, RunView, view_runs
from cvl.ops.session import Session

HEADINGS = ["ID", "EXAMPLE", "VERB", "STATE", "AGE", "EXIT", "CONTAINER"]


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Also runs that have ended.")
@common
def command(terminal: Terminal, everything: bool) -> int:
    """List runs: those that go on, or all of them, newest first.

    A run whose process died is shown as interrupted, and cleaned up after when Docker answers.
    """
    runs = view_runs(Session(), everything=everything)
    if runs.engine_error:
        terminal.message(f"containers are not shown: {runs.engine_error}")
    if runs.cleaned:
        terminal.message(f"cleaned up after {runs.cleaned} run(s) that died")
    if len(runs.views) == SHOWN:
        terminal.message(f"only the newest {SHOWN} are shown")
    if not runs.views:
        terminal.message("no runs" if everything else "nothing is running")
    rows = [_row(view) for view in runs.views]
    text = fitted(HEADINGS, rows, {"EXAMPLE": 12}) if rows else ""
    terminal.data({"runs": [_data(view) for view in runs.views]}, text)
    return 0


def _row(view: RunView) -> list[str]:
    run = view.record
    container = {"none": "-", "unknown": "?"}.get(view.container, view.container)
    status = "-" if run.exit is None else str(run.exit)
    passed = age(time.time() - run.started)
    return [run.id, run.example, run.verb, run.state, passed, status, container]


def _data(view: RunView) -> dict[str, Any]:
    run = view.record
    return {
        "id": run.id,
        "example": run.example,
        "verb": run.verb,
        "state": run.state,
        "started": run.started,
        "ended": run.ended,
        "exit": run.exit,
        "code": run.code or None,
        "message": run.message or None,
        "outputs": run.outputs,
        "pid": int(run.owner.pid),
        "container": view.container,
    }
