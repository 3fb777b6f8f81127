"""`cvl list`: the examples within reach, and where each came from."""

from __future__ import annotations

from typing import Any

import click

from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.ops.listing import Entry, list_examples

HEADINGS = ["NAME", "KIND", "TASKS", "GPU", "SUMMARY", "SOURCE"]
LEAST = {"NAME": 16, "TASKS": 8, "SUMMARY": 16, "SOURCE": 10}


@click.command()
@common
def command(terminal: Terminal) -> int:
    """List the examples within reach.

    Sources, first wins: --examples, CVL_EXAMPLES, cvl.toml, ./examples, and those that come with
    cvl. A broken manifest is listed as broken; cvl validate fails for it.
    """
    entries = list_examples(catalog(terminal))
    for entry in entries:
        if entry.summary is None:
            terminal.message(f"{entry.name} is broken: {entry.error}")
    if not entries:
        terminal.message("there are no examples here; give --examples DIR")
    text = fitted(HEADINGS, [_row(entry) for entry in entries], LEAST) if entries else ""
    terminal.data({"examples": [_data(entry) for entry in entries]}, text)
    return 0


def _row(entry: Entry) -> list[str]:
    found = entry.summary
    if found is None:
        return [entry.name, "broken", "-", "-", "-", entry.source]
    tasks = ",".join(found.tasks) or "-"
    return [entry.name, found.kind, tasks, _gpu(entry), found.text, entry.source]


def _gpu(entry: Entry) -> str:
    """no, 24 GB (required), or 24 GB? (optional)."""
    found = entry.summary
    if found is None or not found.gpu:
        return "-"
    if found.gpu == "none":
        return "no"
    memory = f"{found.vram_gb:g} GB" if found.vram_gb else "yes"
    return memory if found.gpu == "required" else f"{memory}?"


def _data(entry: Entry) -> dict[str, Any]:
    found = entry.summary
    return {
        "name": entry.name,
        "kind": found.kind if found else None,
        "tasks": list(found.tasks) if found else [],
        "gpu": (found.gpu or None) if found else None,
        "vram_gb": found.vram_gb if found else None,
        "summary": found.text if found else None,
        "source": entry.source,
        "folder": str(entry.folder),
        "error": entry.error or None,
        "hint": entry.hint or None,
    }
