"""Names: identifiers, the nearest right one, and text made safe for a terminal."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")

# Control characters, and the bidirectional overrides that make a line read backwards.
_BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def is_identifier(text: str) -> bool:
    """Lower-case letters, digits and underscores, beginning with a letter, 63 at most."""
    return IDENTIFIER.fullmatch(text) is not None


def canonical(text: str) -> str:
    """`Live-Avatar` and `live_avatar` are one name."""
    return text.strip().lower().replace("-", "_")


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be, or None."""
    names = list(candidates)
    by_canonical = {canonical(name): name for name in names}
    wanted = canonical(word)
    close = difflib.get_close_matches(wanted, by_canonical, n=1, cutoff=0.6)
    if close:
        return by_canonical[close[0]]
    prefixed = [name for key, name in by_canonical.items() if wanted and key.startswith(wanted)]
    return prefixed[0] if len(prefixed) == 1 else None


def did_you_mean(word: str, candidates: Iterable[str], prefix: str = "") -> str:
    """A hint sentence for a wrong word: the nearest right one, else all of them."""
    names = list(candidates)
    close = nearest(word, names)
    if close is not None:
        return f"did you mean {prefix}{close}?"
    return f"choose from: {', '.join(prefix + name for name in names)}" if names else ""


def not_utf8(what: str, path: str) -> str | None:
    """The sentence that refuses a path which is not UTF-8, with its bytes shown; None for one that
    is. An engine's API, JSON and the records could not say such a name."""
    if not any("\ud800" <= character <= "\udfff" for character in path):
        return None
    shown = "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in path)
    return f"{what}: the name {printable(shown, 300)} is not UTF-8"


def folded(name: str) -> str:
    """Equal for names that are one where a disk tells neither case nor ways to write an accent."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def printable(text: str, limit: int = 4096) -> str:
    """`text` with nothing in it that a terminal would act on: escapes gone, controls as `?`."""
    plain = _ESCAPES.sub("", text[: limit * 4])
    safe = "".join(character if _is_printable(character) else "?" for character in plain)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def _is_printable(character: str) -> bool:
    if character == "\t":
        return True
    return character not in _BIDI and unicodedata.category(character) not in ("Cc", "Cs")


def printable_lines(text: str, limit: int = 4096) -> str:
    """`printable` line by line: the line breaks of a message of ours stay."""
    return "\n".join(printable(line, limit) for line in text.split("\n"))
