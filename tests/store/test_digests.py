"""A digest that is remembered is the one of this very file, or it is not remembered."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cvl.store.digests import LEAST, SETTLED_NS, Digests, Identity

OLD = time.time_ns() - 10 * SETTLED_NS
FILE: Identity = (1, 2, LEAST, OLD, OLD)
SHA256 = "ab" * 32


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    return Digests(tmp_path / "digests")


def test_what_was_remembered_is_known(digests: Digests) -> None:
    assert digests.known(FILE) == ""
    digests.remember(FILE, SHA256)
    assert digests.known(FILE) == SHA256
    digests.forget(FILE)
    assert digests.known(FILE) == ""
    digests.forget(FILE)


@pytest.mark.parametrize("field", range(5))
def test_a_file_that_differs_in_any_field_is_another(digests: Digests, field: int) -> None:
    digests.remember(FILE, SHA256)
    other = list(FILE)
    other[field] += 1
    assert digests.known(tuple(other)) == ""  # type: ignore[arg-type]


def test_the_newest_of_an_inode_counts(digests: Digests) -> None:
    digests.remember(FILE, SHA256)
    newer = (*FILE[:4], FILE[4] + 1)
    digests.remember(newer, "cd" * 32)
    assert (digests.known(FILE), digests.known(newer)) == ("", "cd" * 32)


def test_a_small_file_and_one_that_was_changed_just_now_are_not_remembered(
    digests: Digests,
) -> None:
    now = time.time_ns()
    for unfit in ((1, 2, LEAST - 1, OLD, OLD), (1, 2, LEAST, OLD, now), (1, 2, LEAST, now, OLD)):
        digests.remember(unfit, SHA256)
        assert digests.known(unfit) == ""


@pytest.mark.parametrize("text", ["", "x", SHA256, f"1 2 {SHA256}", f"{'9' * 99} {SHA256}", "\xff"])
def test_a_damaged_note_is_no_note(digests: Digests, text: str) -> None:
    digests.remember(FILE, SHA256)
    next(digests.root.iterdir()).write_bytes(text.encode("latin-1"))
    assert digests.known(FILE) == ""
