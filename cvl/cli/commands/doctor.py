"""`cvl doctor`: is this machine ready, and what mends it if not."""

from __future__ import annotations

from dataclasses import asdict

import click

from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.errors import EnvironmentFault
from cvl.ops.doctor import Finding, diagnose, errors_in

LABELS = {"ok": "ok", "info": "info", "warning": "warn", "error": "error"}


@click.command()
@common
def command(terminal: Terminal) -> int:
    """Check Docker, GPU, disk and folders.

    Changes nothing. Exits with 3 when something would keep a run from working.
    """
    findings = diagnose()
    data = {"findings": [asdict(finding) for finding in findings]}
    errors = list(errors_in(findings))
    if not errors or not terminal.json:
        terminal.data(data, "\n".join(_text(finding) for finding in findings))
    if not errors:
        return 0
    names = ", ".join(finding.name for finding in errors)
    failure = EnvironmentFault(
        f"this machine is not ready: {names}", hint=errors[0].remedy, code="not_ready"
    )
    terminal.fail(failure, data)
    return failure.status


def _text(finding: Finding) -> str:
    line = f"{LABELS[finding.severity]:<5} {finding.message}"
    return line + (f"\n      hint: {finding.remedy}" if finding.remedy else "")
