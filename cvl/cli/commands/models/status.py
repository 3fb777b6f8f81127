"""`cvl models status`: every file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from cvl.cli.options import common
from cvl.cli.terminal import Terminal
from cvl.cli.units import fitted
from cvl.cli.weights_options import selected, selection, weights_of
from cvl.core.units import size
from cvl.ops.session import Session
from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.status import FileStatus, WeightsStatus, status_of

HEADINGS = ["FILE", "SIZE", "STATE", "VERIFIED"]


@click.command()
@selection
@common
def command(terminal: Terminal, words: tuple[str, ...]) -> int:
    """Show the files of weights: of a SELECTION, or of all examples within reach.

    Verified is what was read and found right, and not changed since. Uses no network.
    """
    chosen, _ = selected(terminal, words)
    session = Session()
    found = [status_of(session, used) for used in weights_of(chosen)]
    if not found:
        terminal.message("no example here uses weights")
    text = "\n\n".join("\n".join(_lines(status)) for status in found)
    terminal.data({"weights": [_data(status) for status in found]}, text)
    return 0


def _lines(status: WeightsStatus) -> Iterator[str]:
    here, used = status.here, status.used
    yield f"{used.name}  {here.state}, {size(here.present)} of {size(here.needed)}"
    if isinstance(used.need, UrlNeed):
        yield f"  from {used.need.url}"
    elif here.commit:
        since = f", pinned {_day(here.since)}" if here.since else ""
        yield f"  {used.revision} is {here.commit}{since}"
    else:
        yield f"  {used.revision} was never asked for"
    if used.examples:
        yield f"  used by {', '.join(used.examples)}"
    if used.options:
        yield f"  only with {used.options}"
    if used.gated:
        yield "  gated: its terms must be accepted at its page"
    if used.need.pickled or any(file.pickle for file in status.files):
        yield "  pickle: loading it may run code"
    if status.files:
        table = fitted(HEADINGS, [_row(file) for file in status.files], {"FILE": 24})
        yield from (f"  {line}" for line in table.splitlines())


def _row(file: FileStatus) -> list[str]:
    return [
        file.path,
        size(file.size),
        file.state.replace("_", " "),
        "yes" if file.verified else "-",
    ]


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _data(status: WeightsStatus) -> dict[str, Any]:
    here, used = status.here, status.used
    return {
        "weights": used.name,
        "url": used.need.url if isinstance(used.need, UrlNeed) else None,
        "revision": used.revision or None,
        "commit": here.commit or None,
        "since": here.since,
        "state": here.state,
        "size": here.present,
        "needed": here.needed,
        "known": here.known,
        "gated": used.gated,
        "pickle": used.need.pickled or any(file.pickle for file in status.files),
        "used_by": list(used.examples),
        "options": used.options or None,
        "files": [asdict(file) for file in status.files],
    }
