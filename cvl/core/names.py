"""Names: identifiers, the nearest right one, and text made safe for a terminal."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")

# Control characters, half surrogates, what makes a line read backwards or breaks it, and what is
# there without being seen. The joiners (U+200C, U+200D) are letters' own in many scripts.
_UNSEEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f]"
)
# Whole sequences alone: half of one would swallow what we say after it.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;:<=>?]*[@-~]|\][^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\)|[()][0-2AB])"
)


def is_identifier(text: str) -> bool:
    """Lower-case letters, digits and underscores, beginning with a letter, 63 at most."""
    return IDENTIFIER.fullmatch(text) is not None


def canonical(text: str) -> str:
    """`Live-Avatar` and `live_avatar` are one name."""
    return text.strip().lower().replace("-", "_")


def as_option(name: str) -> str:
    """An input as one types it: `super_resolution` is given with `--super-resolution`."""
    return f"--{name.replace('_', '-')}"


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
    safe = one_line(text[: limit * 4])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def one_line(text: str) -> str:
    """`printable` without a limit."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub("?", _ESCAPES.sub("", text))


def harmless(text: str) -> str:
    """All of `text` in its lines, without what a terminal would act on."""
    return "\n".join(map(one_line, text.split("\n")))
