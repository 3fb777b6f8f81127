"""When a download counts as stalled, in a clock of the test's own."""

from __future__ import annotations

from cvl.hub.messages import Busy, Bytes, Fetched, Waiting
from cvl.hub.pace import ENOUGH, Pace


def test_silence_is_worth_one_word_and_then_an_end() -> None:
    pace = Pace(120, now=0)
    assert (pace.notice(19), pace.is_stalled(119)) == ("", False)
    assert pace.notice(20) == "nothing has arrived for 20 s"
    assert pace.notice(60) == ""
    assert (pace.is_stalled(120), pace.text(120)) == (True, "nothing has arrived for 120 s")


def test_a_trickle_is_no_progress_and_told_as_one() -> None:
    pace = Pace(120, now=0)
    for second in range(1, 120):
        pace.heard(Bytes(4 * second), second)
    assert pace.notice(119) == "only 476 bytes have arrived for 119 s"
    assert pace.is_stalled(120)


def test_a_slow_line_comes_along() -> None:
    """600 bytes a second: a MB in half an hour, but it comes."""
    pace = Pace(120, now=0)
    for second in range(1, 1800):
        pace.heard(Bytes(600 * second), second)
        assert not pace.is_stalled(second)


def test_every_other_sign_of_life_counts() -> None:
    """Checking, waiting for another process, a file that is whole, a download that begins again."""
    pace = Pace(120, now=0)
    pace.heard(Bytes(10 * ENOUGH), 1)
    signs = (Busy(), Waiting("a", "a.lock"), Fetched("a", "0" * 64), Bytes(0))
    for place, sign in enumerate(signs):
        assert not pace.is_stalled(place * 100 + 100)
        pace.heard(sign, place * 100 + 100)
    assert pace.notice(419) == ""
