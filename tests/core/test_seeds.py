"""Seeds as text, and the seeds of several variations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.core.seeds import MAX_COUNT, MAX_SEED, parse_seeds, show_seeds, variation_seeds
from cvl.errors import InputError, UsageError, UserError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", (7,)),
        ("0", (0,)),
        ("007", (7,)),
        (str(MAX_SEED), (MAX_SEED,)),
        ("1..4", (1, 2, 3, 4)),
        ("3..3", (3,)),
        ("1,5,9", (1, 5, 9)),
        ("9,1", (9, 1)),
        (" 1 , 4 .. 5,2", (1, 4, 5, 2)),
        (f"1..{MAX_COUNT}", tuple(range(1, MAX_COUNT + 1))),
    ],
)
def test_numbers_ranges_and_lists_name_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "--seed is ''", "give a number, a range like 1..8"),
        ("x", "--seed is 'x'", "give a number"),
        ("1,,2", "--seed is '1,,2'", "give a number"),
        ("1..", "--seed is '1..'", "give a number"),
        ("1.5e3", "--seed is '1.5e3'", "give a number"),
        ("²", "--seed is '²'", "give a number"),
        ("\x1b[31m", "--seed is ''", "give a number"),
        ("-1", "--seed is '-1'", "leave it out for any"),
        ("1-8", "--seed is '1-8'", "did you mean 1..8?"),
        ("1...8", "--seed is '1...8'", "did you mean 1..8?"),
        ("4,1:8", "--seed is '4,1:8'", "did you mean 1..8?"),
        ("8..1", "--seed 8..1 runs backwards", "did you mean 1..8?"),
        (str(MAX_SEED + 1), f"--seed is {MAX_SEED + 1}", f"between 0 and {MAX_SEED}"),
        ("9" * 5000, "--seed is '999", "give a number"),
        ("1,2..4,3", "--seed names 3 twice", "once"),
        (f"0..{MAX_SEED}", f"more than {MAX_COUNT} seeds", "several goes"),
        (f"5000,1..{MAX_COUNT}", f"more than {MAX_COUNT} seeds", "several goes"),
    ],
)
def test_anything_else_is_one_sentence_and_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_seeds(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert len(caught.value.message) < 100


@given(st.text(max_size=30))
def test_any_text_is_seeds_or_an_error_of_ours(text: str) -> None:
    try:
        seeds = parse_seeds(text)
    except UserError:
        return
    assert seeds and all(0 <= seed <= MAX_SEED for seed in seeds)


@given(st.sets(st.integers(0, 60) | st.integers(0, MAX_SEED), min_size=1, max_size=40))
def test_seeds_are_shown_in_the_form_that_is_read(seeds: set[int]) -> None:
    assert parse_seeds(show_seeds(list(seeds))) == tuple(sorted(seeds))


def never() -> int:
    raise AssertionError("nothing is to be drawn")


def test_a_count_goes_on_from_one_seed_and_says_nothing_without_one() -> None:
    assert variation_seeds((), None, never) == ()
    assert variation_seeds((5, 9), None, never) == (5, 9)
    assert variation_seeds((10,), 4, never) == (10, 11, 12, 13)
    assert variation_seeds((10,), 1, never) == (10,)


def test_drawn_seeds_are_distinct() -> None:
    drawn: Iterator[int] = iter((3, 3, 8, 3, 8, 1))
    assert variation_seeds((), 3, lambda: next(drawn)) == (3, 8, 1)


def test_a_count_and_several_seeds_or_seeds_past_the_last_are_refused() -> None:
    with pytest.raises(UsageError, match="--count 2 and 2 seeds"):
        variation_seeds((1, 2), 2, never)
    with pytest.raises(InputError, match=f"the last seed would be {MAX_SEED + 1}"):
        variation_seeds((MAX_SEED,), 2, never)
