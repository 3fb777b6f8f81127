"""Where text leaves: the only way from cvl to a terminal or a pipe.

What is told comes from anywhere: logs of containers, manifests, names of files, labels of images,
words of an engine. So it is made harmless here, whoever prints it, and not by those who print.
Progress on a terminal alone writes past it (`cli/live.py`), since it moves the cursor.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

from cvl.core.names import harmless


class Outlet(TextIOWrapper):
    """A text stream on which nothing makes a terminal act."""

    def write(self, text: str) -> int:
        super().write(harmless(text))
        return len(text)


def guard() -> None:
    """Put an outlet in the place of stdout and stderr. A terminal or a pipe that cannot take a
    character gets its escape, not an error."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = _outlet(sys.stdout)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = _outlet(sys.stderr)


def _outlet(stream: TextIOWrapper) -> Outlet:
    return Outlet(
        stream.buffer,
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )
