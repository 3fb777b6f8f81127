"""`cvl gc`: show what is no longer needed, ask, and remove it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.core.units import size
from cvl.errors import UsageError
from cvl.ops.garbage import Limits
from cvl.ops.gc import Plan, carry_out, plan
from cvl.ops.session import Session
from cvl.store.config import load_config

HEADINGS = ["KIND", "NAME", "SIZE", "WHY"]


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--results-gb", type=float, metavar="N", help="GB of results to keep (50, or results_gb)."
)
@click.option(
    "--superseded-gb",
    type=float,
    metavar="N",
    help="GB of superseded images and environments to keep (20, or superseded_gb).",
)
@common
def command(
    terminal: Terminal,
    dry_run: bool,
    yes: bool,
    results_gb: float | None,
    superseded_gb: float | None,
) -> int:
    """Remove what is no longer needed.

    What dead runs left, runs that ended more than 30 days ago, lock files that nobody uses; and of
    results, and of images and environments of examples that have changed since, whatever is above
    the limit, least recently used first. Only what cvl made; results outlive their image.
    """
    if not (dry_run or yes or (sys.stdin.isatty() and not terminal.json)):
        raise UsageError(
            "there is nobody to ask", hint="give --yes to remove, or --dry-run to look"
        )
    config = load_config()
    limits = Limits(
        config.results_gb if results_gb is None else results_gb,
        config.superseded_gb if superseded_gb is None else superseded_gb,
    )
    session = Session(base_image=config.base_image)
    planned = plan(session, catalog(terminal, config), limits)
    _show(terminal, planned)
    if dry_run or not planned.items:
        return _end(terminal, planned, dry_run)
    if not yes and not click.confirm(f"Remove {_count(planned)}?", err=True):
        terminal.message("nothing was removed")
        return 0
    done = carry_out(session, planned)
    for note in done.notes[len(planned.notes) :]:
        terminal.message(f"not removed: {note}")
    return _end(terminal, done, dry_run)


def _show(terminal: Terminal, planned: Plan) -> None:
    for note in planned.notes:
        terminal.message(f"left alone: {note}")
    if planned.items and not terminal.json:
        rows = [[item.kind, item.name, size(item.size), item.why] for item in planned.items]
        terminal.data(None, fitted(HEADINGS, rows, {"NAME": 24, "WHY": 16}))
        for kind, sizes in _by_kind(planned).items():
            terminal.message(f"{kind}: {len(sizes)}, up to {size(sum(sizes))}")


def _by_kind(plan: Plan) -> dict[str, list[int]]:
    """Kind -> the size of each of its items."""
    found: dict[str, list[int]] = {}
    for item in plan.items:
        found.setdefault(item.kind, []).append(item.size)
    return found


def _end(terminal: Terminal, plan: Plan, dry_run: bool) -> int:
    removed = [item for item in plan.items if item.removed]
    if not plan.items:
        terminal.message("there is nothing to remove")
    elif dry_run:
        terminal.message(f"would remove {_count(plan)}")
    else:
        freed = sum(item.size for item in removed)
        terminal.message(f"removed {len(removed)} of {len(plan.items)}, up to {size(freed)}")
    if terminal.json:
        terminal.data(_data(plan, dry_run), "")
    return 0


def _count(plan: Plan) -> str:
    things = "1 thing" if len(plan.items) == 1 else f"{len(plan.items)} things"
    return f"{things}, up to {size(plan.size)}"


def _data(plan: Plan, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "items": [asdict(item) for item in plan.items],
        "size": plan.size,
        "freed": sum(item.size for item in plan.items if item.removed),
        "notes": list(plan.notes),
    }
