"""What `cvl models rm` and `prune` show, ask and say."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.core.units import size
from cvl.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from cvl.ops.session import Session
    from cvl.ops.weights.removing import Planned

HEADINGS = ["KIND", "NAME", "SIZE", "WHY"]


def options(function: Any) -> Any:
    """--dry-run and --yes."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Say what went wrong, nothing else."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show what would go, and remove nothing."),
    ):
        function = option(function)
    return function


def check_asking(terminal: Terminal, *, dry_run: bool, yes: bool) -> None:
    """UsageError where there is nobody to ask."""
    if not (dry_run or yes or (sys.stdin.isatty() and not terminal.json)):
        hint = "give --yes to remove, or --dry-run to look"
        raise UsageError("there is nobody to ask", hint=hint)


def settle(
    terminal: Terminal, session: Session, planned: Planned, *, dry_run: bool, yes: bool
) -> int:
    """Show, ask, remove, tell."""
    from cvl.cli.running import attended
    from cvl.ops.weights.removing import carry_out

    _show(terminal, planned)
    if not planned.removals:
        terminal.message("there is nothing to remove")
        return _end(terminal, planned, dry_run)
    if dry_run:
        terminal.message(f"would remove {_count(planned)}")
        return _end(terminal, planned, dry_run)
    if not yes and not click.confirm(f"Remove {_count(planned)}?", err=True):
        terminal.message("nothing was removed")
        return 0
    with attended(session, "quiet"):
        done = carry_out(session, planned)
    gone = [removal for removal in done.removals if removal.removed]
    freed = sum(removal.size for removal in gone)
    terminal.message(f"removed {len(gone)} of {len(done.removals)}, {size(freed)}")
    return _end(terminal, done, dry_run)


def _show(terminal: Terminal, planned: Planned) -> None:
    for note in planned.notes:
        terminal.message(f"left alone: {note}")
    if planned.removals and not terminal.json and not terminal.quiet:
        rows = [[r.kind, r.name, size(r.size), r.why] for r in planned.removals]
        terminal.data(None, fitted(HEADINGS, rows, {"NAME": 24, "WHY": 16}))


def _count(planned: Planned) -> str:
    number = len(planned.removals)
    return f"{number} thing{'s' * (number != 1)}, {size(planned.size)}"


def _end(terminal: Terminal, planned: Planned, dry_run: bool) -> int:
    data = {
        "dry_run": dry_run,
        "items": [
            {
                "kind": r.kind, "name": r.name, "size": r.size, "why": r.why,
                "used_by": list(r.users), "removed": r.removed, "note": r.note or None,
            }
            for r in planned.removals
        ],
        "size": planned.size,
        "freed": sum(removal.size for removal in planned.removals if removal.removed),
        "notes": list(planned.notes),
    }  # fmt: skip
    kept = [removal for removal in planned.removals if removal.note]
    if not kept:
        if terminal.json:
            terminal.data(data, "")
        return 0
    error = WeightsError(
        "; ".join(f"{removal.name} was not removed: {removal.note}" for removal in kept),
        hint="run it again when nobody uses it",
        code="in_use",
    )
    terminal.fail(error, data)
    return error.status
