"""Text that drives a terminal or deceives who reads it, and whether any of it came through."""

from __future__ import annotations

import re
import unicodedata

FORGED = "forged line"
NAME = (
    "a\x1b]0;owned\x07\x1b[2J\x1b[5;41m\x1b]8;;evil\x07\x1b]52;c;ZXZpbA==\x07\x1bP1$r\x1b\\"
    "\r\b\x07\x7f\x85\x9b31m\x9d0;c\x9c\u202e\u2066\u061c\u200b\u2028\ufeff\U000e0041\n" + FORGED
)
"""Fits into a file name."""
TEXT = f"{NAME}\x1b]8;;http://evil.example/\x1b\\"
_OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK]|\?25[hl])")
"""What our own progress says to a terminal: colours, up, clear the line, hide and show the
cursor. The colours of TEXT are none of ours."""
_JOINERS = "\u200c\u200d"


def raw_in(output: str, *, terminal: bool = False) -> list[str]:
    """What of an output would act on a terminal, or is not what it seems. terminal: it was written
    to one, which has line breaks of its own and may draw progress."""
    if terminal:
        output = _OURS.sub("", output.replace("\x1b[5;41m", "\x05"))
    allowed = "\n\t" + _JOINERS + ("\r" if terminal else "")
    found = {c for c in set(output) if not _visible(c) and c not in allowed}
    forged = [line for line in output.splitlines() if line.startswith(FORGED)]
    return sorted(map(ascii, found)) + forged


def _visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
