"""Names that say their seed or their number: legal, unique, sorted, with their extension."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.output_names import number_in, with_number, with_seed

NAMES = st.binary(min_size=1, max_size=255).filter(lambda b: b"/" not in b and b"\0" not in b)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("out.mp4", "out-seed-0010.mp4"),
        ("a.b/out.tar.gz", "a.b/out.tar-seed-0010.gz"),
        ("/x/out", "/x/out-seed-0010"),
        (".mp4", ".mp4-seed-0010"),
        ("...", "...-seed-0010"),
        ("out.", "out.-seed-0010"),
        ("one. Two and some more words", "one. Two and some more words-seed-0010"),
        ("take-{seed}.mp4", "take-10.mp4"),
        ("{seed}/{seed}.mp4", "10/10.mp4"),
        ("{Seed}{}.mp4", "{Seed}{}-seed-0010.mp4"),
        ("dir/..", "dir/.."),
        ("dir/", "dir/"),
    ],
)
def test_the_seed_comes_before_the_extension_or_where_its_place_is(path: str, named: str) -> None:
    assert with_seed(path, 10, several=True) == named


def test_one_run_keeps_its_name_but_for_the_placeholder() -> None:
    assert with_seed("out.mp4", 10, several=False) == "out.mp4"
    assert with_seed("{seed}.mp4", 10, several=False) == "10.mp4"


def test_a_folder_has_no_extension() -> None:
    assert with_seed("v1.0", 10, several=True, folder=True) == "v1.0-seed-0010"
    assert with_number("v1.0", 2, folder=True) == "v1.0-2"
    assert number_in("v1.0-2", "v1.0", folder=True) == 2


def test_names_sort_as_their_seeds_do() -> None:
    seeds = [0, 1, 9, 10, 99, 100, 1000, 9999]
    names = [with_seed("out.mp4", seed, several=True) for seed in seeds]
    assert names == sorted(names)


@given(NAMES, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_seeded_names_are_legal_and_differ_with_the_seed(name: bytes, one: int, two: int) -> None:
    first, second = (with_seed(os.fsdecode(name), seed, several=True) for seed in (one, two))
    assert len(os.fsencode(first)) <= 255
    assert (first == second) == (one == two) or os.fsdecode(name) in (".", "..")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("x" * 249 + "{seed}", "x" * 245 + "2147483647"),
        ("{seed}" + "x" * 245 + ".wav", "2147483647" + "x" * 241 + ".wav"),
        ("x" * 248 + ".{seed}", "x" * 245 + "2147483647"),
        ("\u4e2d" * 80 + "{seed}.wav", "\u4e2d" * 80 + "2147483647.wav"),
        ("\u4e2d" * 81 + "{seed}.mp4", "\u4e2d" * 80 + "2147483647.mp4"),
    ],
)
def test_text_around_a_seed_gives_way_where_the_name_would_be_too_long(
    name: str, named: str
) -> None:
    assert with_seed(f"{{seed}}/{name}", 2**31 - 1, several=True) == f"2147483647/{named}"


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8")), st.data())
def test_a_name_with_a_place_for_the_seed_is_legal_and_differs_with_the_seed(
    text: str, data: st.DataObject
) -> None:
    while len(text.encode()) > 249:
        text = text[1:]
    at = data.draw(st.integers(0, len(text)))
    name = text[:at] + "{seed}" + text[at:]
    seeds = (5, 2**31 - 1, 2**31 - 2)
    found = {with_seed(name, seed, several=True) for seed in seeds}
    assert len(found) == 3 and max(len(one.encode()) for one in found) <= 255


@given(NAMES, st.integers(2, 10**9 - 1))
def test_a_numbered_name_is_legal_and_tells_its_number(name: bytes, number: int) -> None:
    text = os.fsdecode(name)
    numbered = with_number(text, number)
    assert len(os.fsencode(numbered)) <= 255
    assert number_in(numbered, text) == number
    assert number_in(text, text) == 1


def test_a_long_name_loses_whole_characters_of_its_stem() -> None:
    long = "\u4e2d" * 83 + ".mp4"
    assert with_number(long, 12) == "\u4e2d" * 82 + "-12.mp4"
    too_long = "x" * 300 + ".mp4"
    assert len(with_number(too_long, 2)) == 306


@pytest.mark.parametrize(
    "found",
    ["output", "output-1.mp4", "output-02.mp4", "output-2.mov", "output-x.mp4", "output--2.mp4",
     "my-output-2.mp4", "output-2.mp4.cvl.json", "output-2-2.mp4", "-2.mp4"],
)  # fmt: skip
def test_other_names_are_none_of_its_numbers(found: str) -> None:
    assert number_in(found, "output.mp4") is None
