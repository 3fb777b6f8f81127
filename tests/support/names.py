"""Hostile names of files and folders: always the same ones, each legal on Linux and in UTF-8."""

from __future__ import annotations

import random
import string
import unicodedata

LIMIT = 255
# fmt: off
_CONTROLS = [chr(code) for code in (*range(1, 32), 127, 0x85, 0x9B)]
_MARKS = [mark for mark in string.punctuation if mark != "/"]
_SPACES = [" ", "  a", "a ", "a  b ", "\u00a0", "\u3000", "\u2028"]
_DASHES = ["-o", "-rf", "--", "---", "--output=x", "--examples=x", "--help", "-o=x", "-\u00e9"]
_DOTS = ["...", ".hidden", "a.", "..a", "a..b", ".-", "a.b.c", ".txt", "a.TXT", "a.x y", "a.t\nt"]
_FORMATS = ["%d", "in%d.png", "%s%n", "%00", "%2e%2e%2f", "{seed}", "{0}", "{a,b}", "${seed"]
_SHELL = ["$HOME", "$(touch x)", "`id`", ";ls", "a|b&c", "*?[a]", "!x", "#x", "<>", "~root"]
_MOUNTS = ["a,src=/etc", "a,src=", "type=bind,src=x,dst=y", "a:ro", "a:/etc:rw", ",readonly"]
_QUOTES = ['"a","b"', "'a'\"b\"", "a\\", "\\\\server\\x", "C:\\x", "\\u0000", "\\x00"]
_DATA = ['{"a": 1}', "A=B\nC=D", "- a", "&a", "!!python/object", "null", "file:a", "http://a"]
_BREAKS = ["\n", "a\n", "\na", "a\r\n", "a\tb"]
_ESCAPES = ["\x1b[2J", "\x1b]0;a\x07", "a\x1b[31mb", "\u202eexe.txt", "\u2066a", "\ufeffa"]
_OURS = [".cvl-staging", "a.cvl.json", "result.txt", "example.yaml", "Dockerfile", "examples"]
_TEXTS = [
    "\u00e9", "\u212b.txt", "\ud55c\uae00", "\u00f1" * 9, "\ufb01", "\u0130.TXT", "\u00df.\u1e9e",
    "\uff0f", "\uff0e\uff0e\uff0f", "\u65e5\u672c.\u65e5\u672c", "\U0001f469\u200d\U0001f467.txt",
    "a" + "\u0301" * 40, "\u05e9\u05dc", "\uffff", "\ue000", "\U0010ffff", "a\u0345",
]
_LONG = [
    "a" * 255, "a" * 251 + ".txt", "a." + "b" * 253, "." + "a" * 254, "a" * 254, "-" * 255,
    "\u00e9" * 127 + "a", "\u65e5" * 85, "\U0001f469" * 63 + "abc", "e\u0301" * 85, " " * 255,
    "\n" * 255, "." * 255, "," * 255, '"' * 255, "{seed}" + "a" * 245 + ".txt",
    "a" * 245 + "{seed}.txt",
]
# fmt: on
NOT_UTF8 = [b"\xff", b"caf\xe9.txt", b"a\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"-\x80\n"]


def hostile_names() -> list[str]:
    """Over 200; the few with a slash in them are two names, one in the other."""
    texts = [unicodedata.normalize(form, text) for text in _TEXTS for form in ("NFC", "NFD")]
    names = [
        *_MARKS, *(f"a{mark} b" for mark in ",:;'\"\\=%&*?"), *(f"a{code}b" for code in _CONTROLS),
        *_SPACES, *_DASHES, *_DOTS, *_FORMATS, *_SHELL, *_MOUNTS, *_QUOTES, *_DATA, *_BREAKS,
        *_ESCAPES, *_OURS, *texts, *_LONG, *drawn(10),
    ]  # fmt: skip
    return [name for name in dict.fromkeys(names) if name not in (".", "..")]


def drawn(count: int, seed: int = 0) -> list[str]:
    """Put together of everything above, in the same way for the same `seed`."""
    dice = random.Random(seed)
    pieces = [*_CONTROLS, *_MARKS, *_MOUNTS, *_ESCAPES, *_TEXTS, *string.ascii_letters]
    names: list[str] = []
    while len(names) < count:
        name = "".join(dice.choices(pieces, k=dice.randint(2, 12))).replace("/", ",")
        names += [name] if len(name.encode()) <= LIMIT and name not in (".", "..") else []
    return names
