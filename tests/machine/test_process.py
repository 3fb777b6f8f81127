"""Who a process is: told apart from any other with the same pid, before and after."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from cvl.core.owner import Owner
from cvl.machine.process import is_alive, start_time, this_owner, total_memory
from tests.support.processes import ended, killed, python, said

WAIT = "print('up', flush=True); import sys; sys.stdin.read()"


def test_this_process_is_alive_and_knows_itself() -> None:
    me = this_owner("home")
    assert me == this_owner("home")
    assert (me.uid, me.pid, me.home) == (str(os.getuid()), str(os.getpid()), "home")
    assert is_alive(me)


def test_a_process_is_dead_once_it_was_killed() -> None:
    child = python(WAIT)
    assert said(child) == "up"
    start = start_time(child.pid)
    owner = replace(this_owner("home"), pid=str(child.pid), start=str(start))
    assert start is not None and is_alive(owner)
    killed(child)
    assert not is_alive(owner)
    assert start_time(child.pid) is None


def test_a_zombie_is_dead() -> None:
    child = python("pass")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(child.pid) is None
    ended(child)


def test_another_process_with_the_same_pid_is_another() -> None:
    assert not is_alive(replace(this_owner("home"), start="1"))


@pytest.mark.parametrize("pid", ["", "-1", "x", "1 2"])
def test_an_owner_that_we_did_not_write_is_never_taken_for_dead(pid: str) -> None:
    assert is_alive(replace(this_owner("home"), pid=pid))


def test_an_owner_survives_as_labels() -> None:
    me = this_owner("home")
    assert Owner.from_labels({**me.labels(), "other": "label"}) == me
    for missing in me.labels():
        labels = {name: value for name, value in me.labels().items() if name != missing}
        assert Owner.from_labels(labels) is None


@pytest.mark.parametrize("field", ["uid", "home", "boot", "pidns"])
def test_nobody_judges_across_users_homes_boots_or_namespaces(field: str) -> None:
    me = this_owner("home")
    assert me.may_judge(replace(me, pid="1", start="2"))
    assert not me.may_judge(replace(me, **{field: "other"}))


def test_memory_is_what_the_machine_has_at_most() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < total_memory() <= machine
