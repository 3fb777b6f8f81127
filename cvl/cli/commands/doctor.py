"""`cvl doctor`: is this machine ready, and what mends it if not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from cvl.cli.doctor_text import report, summary
from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.core.doctor import Finding, MachineFacts, findings
from cvl.core.plain import to_plain
from cvl.errors import EnvironmentFault, UsageError
from cvl.ops.doctor import read_machine
from cvl.ops.fixes import Repair, repair, repairs_for
from cvl.ops.session import Session


@click.command()
@click.option("--fix", is_flag=True, help="Mend what is safe to mend: cvl's own folders and runs.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a fix.")
@click.option("--no-container", is_flag=True, help="Do not run a container to see if one can.")
@common
def command(terminal: Terminal, fix: bool, yes: bool, no_container: bool) -> int:
    """Check Docker, GPU, disks, folders and network.

    Runs a container for a moment when an image of cvl's is here; changes nothing else without
    --fix. Exits with 3 when something would keep a run from working.
    """
    if fix and not (yes or (sys.stdin.isatty() and not terminal.json)):
        raise UsageError("there is nobody to ask", hint="give --yes with --fix, or leave --fix out")
    facts = read_machine(container=not no_container)
    found = findings(facts)
    repairs: list[Repair] = []
    if fix:
        repairs = _mend(terminal, found, yes)
        if any(done.done for done in repairs):
            facts = read_machine(container=not no_container)
            found = findings(facts)
    return _end(terminal, facts, found, repairs)


def _mend(terminal: Terminal, found: Sequence[Finding], yes: bool) -> list[Repair]:
    """Each is shown before it is done, and asked for unless --yes was given."""
    session = Session()
    repairs = []
    for planned in repairs_for(found, session):
        if yes:
            terminal.message(f"fix: {planned.what}")
        elif not click.confirm(f"fix: {planned.what}?", err=True):
            repairs.append(planned)
            continue
        done = repair(session, planned)
        if done.problem:
            terminal.message(f"not done: {done.problem}")
        repairs.append(done)
    if not repairs:
        terminal.message("there is nothing that can be mended without you")
    return repairs


def _end(
    terminal: Terminal, facts: MachineFacts, found: Sequence[Finding], repairs: list[Repair]
) -> int:
    errors = [finding for finding in found if finding.severity == "error"]
    data: dict[str, Any] = {
        "facts": to_plain(facts),
        "findings": [to_plain(finding) for finding in found],
        "repairs": [to_plain(repair) for repair in repairs],
    }
    if not errors or not terminal.json:
        terminal.data(data, report(found))
    if not errors:
        terminal.message(summary(found))
        return 0
    names = ", ".join(dict.fromkeys(finding.code for finding in errors))
    first = errors[0]
    hint = first.commands[0] if first.commands else first.remedy
    failure = EnvironmentFault(f"this machine is not ready: {names}", hint=hint, code="not_ready")
    terminal.fail(failure, data)
    return failure.status
