"""`cvl models list`: what examples use, and what of it is here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import click

from cvl.cli.options import catalog, common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.core.names import one_line
from cvl.core.units import size
from cvl.ops.session import Session
from cvl.ops.weights.listing import Listed, Overview, overview
from cvl.ops.weights.using import uses_of

HEADINGS = ["EXAMPLE", "WEIGHTS", "STATE", "ON DISK", "NEEDED", "ALSO USED BY"]
LEAST = {"EXAMPLE": 16, "WEIGHTS": 20, "ALSO USED BY": 12}
WIDTH = 79
OTHERS = "(other programs)"


@click.command()
@common
def command(terminal: Terminal) -> int:
    """List the weights of the examples within reach, and what of them is here.

    Those that are optional are fetched only with the options named below the table, or by cvl
    models pull --optional. Repos that no example uses are other programs'. Sizes of what was never
    fetched are those that manifests say (~). Uses no network.
    """
    found = overview(Session(), uses_of(catalog(terminal)))
    for name in found.broken:
        terminal.message(f"{name} is left out: its manifest is broken")
    if not found.listed and not found.others:
        terminal.message("no example here uses weights")
    if found.leftovers:
        left = sum(leftover.size for leftover in found.leftovers)
        terminal.message(
            f"{len(found.leftovers)} unfinished downloads, {size(left)}; cvl models prune removes"
            " those that nobody goes on with"
        )
    rows = [_row(listed) for listed in found.listed]
    rows += [[OTHERS, repo.repo, "-", size(repo.whole_size), "-", "-"] for repo in found.others]
    text = fitted(HEADINGS, rows, LEAST) if rows else ""
    terminal.data(_data(found), "\n".join([text, *_options(found)]))
    return 0


def _row(listed: Listed) -> list[str]:
    here = listed.here
    guess = "" if here.known else "~"
    needed = f"{guess}{size(here.needed)}" if here.needed else "?"
    also = ", ".join(listed.also) or "-"
    state = "optional" if listed.spare else here.state
    return [listed.example, listed.used.name, state, size(here.present), needed, also]


def _options(found: Overview) -> Iterator[str]:
    """What needs which options, whether it is here or not."""
    names: dict[tuple[str, str], dict[str, None]] = {}
    for listed in found.listed:
        if listed.used.options:
            names.setdefault((listed.example, listed.used.options), {})[listed.used.name] = None
    for (example, options), of in names.items():
        told = one_line(f"{example}, only with {options}: {', '.join(of)}")
        yield textwrap.fill(
            told, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )


def _data(found: Overview) -> dict[str, Any]:
    return {
        "cache": str(found.hub),
        "size": found.size,
        "weights": [_weights(listed) for listed in found.listed],
        "others": [
            {"repo": r.repo, "kind": r.kind, "size": r.whole_size, "files": r.files}
            for r in found.others
        ],
        "leftovers": [
            {"name": left.name, "size": left.size, "changed": left.changed}
            for left in found.leftovers
        ],
        "broken": list(found.broken),
    }


def _weights(listed: Listed) -> dict[str, Any]:
    here = listed.here
    return {
        "example": listed.example,
        "weights": listed.used.name,
        "revision": listed.used.revision or None,
        "commit": here.commit or None,
        "state": here.state,
        "size": here.present,
        "needed": here.needed,
        "known": here.known,
        "also_used_by": list(listed.also),
        "options": listed.used.options or None,
    }
