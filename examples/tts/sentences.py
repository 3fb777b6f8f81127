"""Split text into sentences short enough to be spoken one at a time.

A missed boundary costs nothing (the speech engine still pauses at a full stop), while a wrong one
breaks a sentence in two, so every doubtful full stop is left alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_CHARS = 400

_ABBREVIATION_LIST = """
mr mrs ms dr prof st sr jr vs etc eg ie cf al approx dept est fig gen gov hon inc ltd co corp no nr
vol pp ed rev col capt lt sgt mt rd ave blvd jan feb mar apr jun jul aug sep sept oct nov dec bzw ca
usw evtl ggf inkl tel str hr fr abb mme mlle av art sig sra ud uds dott ecc pag núm
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())
# A run of end marks, with the quotes and brackets that close the sentence, before white space.
_END = re.compile(r"[.!?…؟۔।]+[\"'”’»)\]]*(?=\s)")
# Full-width marks end a sentence without any white space after them.
_CJK_END = re.compile(r"[。！？｡]+[」』”’）]*")
_CLAUSE_END = re.compile(r"[,;:،؛、，；：—–]+\s*")
_KEPT_CONTROLS = frozenset("\n\t")


def clean(text: str) -> str:
    """Normalised text without the control characters that speech engines take as commands."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = (
        c if c in _KEPT_CONTROLS or unicodedata.category(c) not in ("Cc", "Cs") else " "
        for c in text
    )
    return "".join(kept).strip()


def speakable(text: str) -> bool:
    """True when there is at least one letter or digit: engines read pure punctuation oddly."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def split(text: str, max_chars: int = MAX_CHARS) -> list[str]:
    """The sentences of `text`, in order, each speakable and at most `max_chars` long."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", clean(text)):
        for sentence in _sentences(paragraph):
            one_line = re.sub(r"\s+", " ", sentence).strip()
            found.extend(p for p in shorten(one_line, max_chars) if speakable(p))
    return found


def _sentences(paragraph: str) -> Iterator[str]:
    start = 0
    cjk_ends = (match.end() for match in _CJK_END.finditer(paragraph))
    for end in sorted({*_western_ends(paragraph), *cjk_ends}):
        yield paragraph[start:end]
        start = end
    yield paragraph[start:]


def _western_ends(text: str) -> Iterator[int]:
    for match in _END.finditer(text):
        following = text[match.end() :].lstrip()
        if following and following[0].islower():
            continue
        if match.group() == "." and _is_abbreviation(text[: match.start()]):
            continue
        yield match.end()


def _is_abbreviation(before: str) -> bool:
    """Whether a lone full stop after `before` most likely belongs to its last word."""
    words = before.split()
    word = words[-1].strip("(\"'“‘«[") if words else ""
    if len(word) == 1 and word.isalpha() and word != "I":
        return True  # an initial: J. R. R. Tolkien
    if re.fullmatch(r"(\w\.)+\w", word):
        return True  # e.g., U.S., z.B.
    if re.fullmatch(r"\d{1,2}", word):
        return True  # a list number or an ordinal: 3. Mai
    return word.lower() in _ABBREVIATIONS


def shorten(sentence: str, max_chars: int) -> Iterator[str]:
    """Cut an over-long sentence after a clause, else between words, else anywhere."""
    while len(sentence) > max_chars:
        cut = _cut_point(sentence, max_chars)
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence


def _cut_point(sentence: str, max_chars: int) -> int:
    window = sentence[:max_chars]
    # A clause mark very early in the sentence would leave a stub, so the first quarter is skipped.
    clauses = [m.end() for m in _CLAUSE_END.finditer(window) if m.end() > max_chars // 4]
    if clauses:
        return clauses[-1]
    space = window.rfind(" ")
    return space if space > 0 else max_chars
