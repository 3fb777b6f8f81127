"""Names are forgiving when they are read, and text is harmless when it is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.names import (
    canonical,
    did_you_mean,
    folded,
    harmless,
    is_identifier,
    nearest,
    not_utf8,
    printable,
)
from cvl.core.references import parse_reference, references_in


@pytest.mark.parametrize("name", ["a", "live_avatar", "x2", "a" * 63])
def test_identifiers(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["", "A", "2x", "_x", "a-b", "a b", "a" * 64, "ä", "a\n"])
def test_what_is_no_identifier(name: str) -> None:
    assert not is_identifier(name)


def test_spellings_of_one_name() -> None:
    assert canonical(" Live-Avatar ") == "live_avatar"


@pytest.mark.parametrize(
    ("word", "found"),
    [("sumary", "summary"), ("SUMMARY", "summary"), ("lic", "license"), ("zzz", None), ("", None)],
)
def test_the_nearest_name(word: str, found: str | None) -> None:
    assert nearest(word, ["summary", "license", "inputs"]) == found


def test_a_hint_names_one_or_all_or_says_nothing() -> None:
    assert did_you_mean("sumary", ["summary", "inputs"], "--") == "did you mean --summary?"
    assert did_you_mean("zzz", ["summary", "inputs"], "--") == "choose from: --summary, --inputs"
    assert did_you_mean("zzz", []) == ""


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\rb\nc\bd\x07", "a?b?c?d?"),
        ("\x9b31m", "?31m"),
        ("\x1b\x1b[31m[31m", "?[31m"),
        ("gpj\u202e.exe", "gpj?.exe"),
        ("pass\u200bword\u2066\u061c\U000e0041", "pass?word???"),
        ("a\u2028error: b", "a?error: b"),
        ("\x1b]0;half of one, and ours", "?]0;half of one, and ours"),
        ("\x1b(B\x1b[mplain\x1bc", "plain?c"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x1b\\ \x1b]52;c;YQ==\x07", "link "),
        (
            "\u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f4bb",
            "\u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f4bb",
        ),
        ("tab\there", "tab\there"),
        ("caf\xe9 \u4e2d", "caf\xe9 \u4e2d"),
        ("\udcff", "?"),
    ],
)
def test_nothing_acts_on_a_terminal(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


@given(st.text(st.characters(codec=None), max_size=300), st.integers(1, 200))
def test_printable_text_is_printable_and_short(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert not {unicodedata.category(c) for c in shown if c != "\t"} & {"Cc", "Cs"}
    shown.encode()


def test_a_name_that_is_not_utf8_is_refused_with_its_bytes_shown() -> None:
    assert not_utf8("--file", "caf\xe9 \u4e2d\n\x1b[2J") is None
    shown = not_utf8("--file", "a\n\udcff\udc80\ud800.wav")
    assert shown == "--file: the name a?\\xff\\x80?.wav is not UTF-8"


def test_names_that_some_disks_take_for_one_are_folded_to_one() -> None:
    for one, other in (
        ("A.txt", "a.TXT"),
        ("\xe9", "e\u0301"),
        ("\xc9", "e\u0301"),
        ("\u212b", "\xe5"),
    ):
        assert folded(one) == folded(other)
    assert len({folded(name) for name in ("a", "b", "e", "\xe9", "a ", "a.")}) == 6


def test_every_control_surrogate_and_separator_of_unicode_is_replaced() -> None:
    everything = "".join(map(chr, range(0x110000)))
    kept = {unicodedata.category(character) for character in harmless(everything)}
    assert not kept & {"Cs", "Zl", "Zp"}
    assert set(harmless(everything)) & {c for c in map(chr, range(256)) if not c.isprintable()} == {
        "\t", "\n", "\xa0",
    }  # fmt: skip
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not turning & {
        unicodedata.bidirectional(character) for character in harmless(everything)
    }


def test_our_own_line_breaks_stay() -> None:
    assert harmless("a\nb\x1b[2Jc\n") == "a\nbc\n"
    assert harmless("x" * 100_000 + "\r") == "x" * 100_000 + "?"


@given(st.text(st.characters(codec=None), max_size=300))
def test_harmless_text_is_that_of_its_lines(text: str) -> None:
    lines = harmless(text).split("\n")
    assert all(line == printable(line) for line in lines)


def test_references_are_identifiers_as_a_whole() -> None:
    assert parse_reference("${talk.video}") == ("talk", "video")
    assert parse_reference("${scene}") == ("scene", "")
    for wrong in ("${talk.video} ", "${a.b.c}", "${talk.}", "${../x.y}", "$talk.video", 3, None):
        assert parse_reference(wrong) is None
    assert list(references_in(["${a.b}", 1, "${c.d}"])) == [("a", "b"), ("c", "d")]
