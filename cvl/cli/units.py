"""Ages and table widths as people read them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping

from cvl.cli.terminal import shorten, table
from cvl.core.names import one_line

_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def age(seconds: float) -> str:
    """The largest unit that fits: 3 d, 2 h, 5 min, 10 s."""
    for length, unit in _AGES:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "0 s"


def width() -> int | None:
    """Columns of the terminal that stdout is, or None when it is something else: then nothing is
    shortened."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fitted(headings: list[str], rows: list[list[str]], least: Mapping[str, int]) -> str:
    """A table that fits the terminal. `least`: how far a column may be shortened; the widest of
    them gives first."""
    columns = width()
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    while columns is not None and sum(widths) + 2 * (len(widths) - 1) > columns:
        spare = [i for i, name in enumerate(headings) if widths[i] > least.get(name, widths[i])]
        if not spare:
            break
        widths[max(spare, key=lambda i: widths[i])] -= 1
    return table(headings, [[shorten(c, w) for c, w in zip(r, widths, strict=True)] for r in rows])
