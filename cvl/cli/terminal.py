"""How cvl speaks: data on stdout, messages on stderr, one envelope for --json. What leaves is made
harmless by `cli/outlet.py`; here, what is said within a line stays in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cvl.core.names import one_line
from cvl.errors import CvlError

SCHEMA = "cvl/1"


@dataclass
class Terminal:
    """What a command was told about output; filled in by the shared options."""

    command: str = ""
    json: bool = False
    quiet: bool = False
    debug: bool = False
    examples: tuple[str, ...] = field(default_factory=tuple)

    def data(self, data: Any, text: str | Sequence[str]) -> None:
        """The answer of a command: the envelope with --json, else `text`: of our own making, or
        lines, which may hold anything."""
        if self.json:
            envelope = {"schema": SCHEMA, "ok": True, "command": self.command, "data": data}
            print(json.dumps({**envelope, "error": None}))
        elif text:
            print(text if isinstance(text, str) else "\n".join(map(one_line, text)))

    def line(self, text: str) -> None:
        """One line of data now: what is streamed, like a log."""
        print(one_line(text), flush=True)

    def message(self, text: str) -> None:
        """One line for a person, unless they asked for quiet."""
        if not self.quiet:
            print(one_line(text), file=sys.stderr, flush=True)

    def fail(self, error: CvlError, data: Any = None) -> None:
        """What happened, and the one thing to do."""
        if self.json:
            told = {"code": error.code, "message": error.message, "hint": error.hint}
            envelope = {"schema": SCHEMA, "ok": False, "command": self.command, "data": data}
            print(json.dumps({**envelope, "error": told}))
            return
        first, *more = error.message.split("\n")
        # Indented, so that a line break in a path cannot make a line that looks like one of ours.
        lines = [f"error: {first}", *(f"  {line.removeprefix('  ')}" for line in more)]
        lines += [f"hint: {one_line(error.hint)}"] if error.hint else []
        print("\n".join(lines), file=sys.stderr)


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as they must be; two spaces between; no colour, no lines."""
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
