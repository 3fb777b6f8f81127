"""Probes of a broken machine: each has an end, and none raises."""

from __future__ import annotations

import threading

from cvl.core.doctor.facts import Unread
from cvl.errors import StateError
from cvl.machine.probes import Probes


def test_an_answer_is_what_was_read() -> None:
    probes = Probes(20)
    assert probes.start("a number", lambda: 7)(0) == 7
    assert probes.unread == []


def test_what_raises_or_hangs_is_told_and_has_a_default() -> None:
    for_ever = threading.Event()

    def broken() -> int:
        raise StateError("no home")

    probes = Probes(0.1)
    hung = probes.start("a disk", lambda: int(for_ever.wait(30)))
    failed = probes.start("folders", broken)
    wrong = probes.start("a file", lambda: int("x"))
    assert (hung(1), failed(2), wrong(3)) == (1, 2, 3)
    for_ever.set()
    assert probes.unread[:2] == [
        Unread("a disk", "no answer within 0.1 s"), Unread("folders", "no home"),
    ]  # fmt: skip
    assert probes.unread[2].why.startswith("ValueError: ")


def test_probes_run_side_by_side() -> None:
    """Each waits for the other: one after the other they would never end."""
    meet = threading.Barrier(2)
    probes = Probes(20)
    answers = [probes.start(name, lambda: meet.wait(10)) for name in ("one", "two")]
    assert {answer(-1) for answer in answers} == {0, 1}
