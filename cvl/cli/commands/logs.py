"""`cvl logs`: what the programs of a run wrote."""

from __future__ import annotations

import time

import click

from cvl.cli.options import common
from cvl.cli.suggestions import run_ids, step_names
from cvl.cli.terminal import Terminal
from cvl.errors import UsageError
from cvl.machine.process import is_alive
from cvl.ops.logs import follow, read_lines, require_step, step_logs, tail_of
from cvl.ops.runs import find_run
from cvl.ops.session import Session
from cvl.store.records import RUNNING, RunRecord

POLL_S = 0.2
JSON_BYTES = 1 << 20


@click.command()
@click.argument("run", shell_complete=run_ids)
@click.argument("step", default="", required=False, shell_complete=step_names)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the run ends.")
@common
def command(terminal: Terminal, run: str, step: str, following: bool) -> int:
    """Show the log of a run, or of one step of it.

    RUN is an id, the beginning of one, or "last". Control characters are made harmless. --json has
    the last megabyte of each step.
    """
    session = Session()
    record = find_run(session, run)
    folder = session.dirs.runs / record.id
    if following and terminal.json:
        raise UsageError("--follow and --json do not go together", hint="leave one of them out")
    if step and not (following and record.state == RUNNING):
        require_step(folder, record.id, step)

    def emit(name: str, line: str) -> None:
        terminal.line(line if step or name == record.example else f"{name} | {line}")

    if terminal.json:
        terminal.data(_data(session, record, step), "")
    elif following:
        follow(folder, step, emit, lambda: _goes_on(session, record))
        terminal.message(f"{record.id}: {_now(session, record).state}")
    else:
        for log in step_logs(folder, step):
            for line in read_lines(log):
                emit(log.step, line)
    return 0


def _data(session: Session, record: RunRecord, step: str) -> dict[str, object]:
    logs = []
    for log in step_logs(session.dirs.runs / record.id, step):
        text, whole = tail_of(log, JSON_BYTES)
        logs.append({"step": log.step, "path": str(log.path), "text": text, "whole": whole})
    return {"run": record.id, "example": record.example, "state": record.state, "logs": logs}


def _goes_on(session: Session, record: RunRecord) -> bool:
    """Wait a moment; False once the run has ended, or its process is known to be gone."""
    if _now(session, record).state != RUNNING:
        return False
    if session.owner.may_judge(record.owner) and not is_alive(record.owner):
        return False
    time.sleep(POLL_S)
    return True


def _now(session: Session, record: RunRecord) -> RunRecord:
    found = session.records.matching(record.id, limit=1)
    return found[0] if found else record
