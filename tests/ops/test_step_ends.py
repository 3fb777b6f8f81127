"""Steps that are cancelled, whose engine fails, or that meet the ghost of an earlier one: nothing
is left, nothing is published, and nothing of anybody else is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cvl import faultpoint
from cvl.core import owner as labels
from cvl.core.owner import Owner
from cvl.engine.fake import TERMINATED, FakeContainer, refused, timed_out, unreachable
from cvl.engine.fake import Method as EngineMethod
from cvl.engine.protocol import BuildSpec
from cvl.errors import Cancelled, EngineError
from cvl.machine.gpus import Gpu
from cvl.machine.leases import Wanted, leased
from cvl.machine.process import start_time
from cvl.ops import place
from cvl.ops.cancel import Cancel
from cvl.ops.reap import fence
from cvl.ops.session import Session
from tests.ops.bench import Bench, Recorder, say, tell
from tests.support.container_specs import bare_container

GPU = Gpu(0, "GPU-aaaa", "H200", 10**11, 10**11, "550", "9.0")


class Waiting(Recorder):
    """Cancels as soon as a step waits."""

    def __init__(self, cancel: Cancel) -> None:
        super().__init__()
        self.cancel = cancel

    def phase(self, step: str, phase: str, text: str = "") -> None:
        super().phase(step, phase, text)
        if phase == "wait":
            self.cancel.request(signal.SIGINT)


def patient(container: FakeContainer) -> int:
    """Says that it works, and works until it is told to stop."""
    tell(container, event="progress", done=1, total=2)
    container.wait_for_stop()
    return TERMINATED


def assert_cancelled(bench: Bench, status: int = 130) -> None:
    with pytest.raises(Cancelled) as error:
        bench.run()
    assert error.value.status == status
    assert bench.leftovers() == []
    assert not bench.target.exists()


@pytest.mark.parametrize("point", faultpoint.POINTS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_cancel_at_any_point_leaves_no_container_and_no_output(
    point: str, signum: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    def reach(name: str) -> None:
        reached.append(name)
        if name == point:
            bench.session.cancel.request(signum)

    monkeypatch.setattr(faultpoint, "reach", reach)
    bench.play(patient if point in ("started", "mid_run") else say)
    assert_cancelled(bench, 128 + signum)
    assert point in reached
    assert bench.state() == "cancelled"


def test_a_cancel_before_anything_asks_nothing_of_the_engine(bench: Bench) -> None:
    bench.session.cancel.request(signal.SIGINT)
    assert_cancelled(bench)
    assert bench.engine.calls == []


def test_a_cancel_during_the_build_is_no_failed_build(bench: Bench) -> None:
    def build(spec: BuildSpec) -> None:
        bench.session.cancel.request(signal.SIGINT)

    bench.engine.builder = build
    assert_cancelled(bench)
    assert bench.calls("create") == []


def test_a_cancel_while_waiting_for_a_gpu_creates_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "read_gpus", lambda: [GPU])
    bench.add("paint", gpu="required")
    bench.session.report = Waiting(bench.session.cancel)
    with (
        leased(Wanted((GPU.uuid,), 1), lambda seconds: None, lambda text: None),
        pytest.raises(Cancelled),
    ):
        bench.run("paint")
    assert bench.calls("create") == []
    assert bench.leftovers() == []


def test_a_cancel_while_another_does_the_same_step_leaves_that_one_alone(bench: Bench) -> None:
    second = bench.another()
    second.report = Waiting(second.cancel)

    def meanwhile(container: FakeContainer) -> int:
        with pytest.raises(Cancelled):
            bench.run(output="second.txt", session=second)
        return say(container)

    bench.play(meanwhile)
    bench.run()
    assert bench.target.exists()
    assert bench.calls("create") == ["create"]
    assert bench.leftovers() == []


def test_a_deaf_program_is_killed_when_the_grace_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvl.ops.step.GRACE_S", 0.05)

    def deaf(container: FakeContainer) -> int:
        bench.session.cancel.request(signal.SIGINT)
        container.wait_for_kill()
        return say(container)

    bench.play(deaf)
    assert_cancelled(bench)


def test_a_second_signal_kills_at_once_whatever_the_grace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvl.ops.step.GRACE_S", 3600)

    def deaf(container: FakeContainer) -> int:
        bench.session.cancel.request(signal.SIGINT)
        container.wait_for_stop()
        bench.session.cancel.request(signal.SIGINT)
        container.wait_for_kill()
        return say(container)

    bench.play(deaf)
    assert_cancelled(bench)
    assert bench.calls("stop", "kill") == ["stop", "kill"]


def test_an_engine_that_does_not_answer_is_told_before_anything_is_written(bench: Bench) -> None:
    bench.engine.fail("facts", unreachable())
    with pytest.raises(EngineError) as error:
        bench.run()
    assert error.value.code == "engine_unreachable"
    assert not (bench.folder / "home" / "state" / "runs").exists()


FAULTS: list[tuple[EngineMethod, bool]] = [
    ("image_id", False), ("create", False), ("create", True), ("start", False), ("start", True),
    ("state", False),
]  # fmt: skip


@pytest.mark.parametrize(("method", "after"), FAULTS)
def test_a_call_that_is_not_answered_leaves_no_container(
    method: EngineMethod, after: bool, bench: Bench
) -> None:
    bench.engine.fail(method, timed_out(), after=after)
    with pytest.raises(EngineError) as error:
        bench.run()
    assert error.value.code == "engine_timeout"
    assert bench.leftovers() == []
    assert not bench.target.exists()
    assert bench.run().steps["say"].cached is False


def test_what_the_engine_refuses_is_said_in_its_words(bench: Bench) -> None:
    bench.engine.fail("create", refused("invalid mount config"))
    with pytest.raises(EngineError, match="invalid mount config"):
        bench.run()
    assert bench.leftovers() == []


def test_a_removal_that_fails_does_not_cost_the_result(bench: Bench) -> None:
    bench.engine.fail("remove", timed_out(), after=True)
    bench.run()
    assert bench.target.exists()


def test_no_step_runs_beside_one_that_its_own_process_had_to_leave(bench: Bench) -> None:
    """A living owner's container is nobody else's to remove."""

    def go_away(container: FakeContainer) -> int:
        bench.engine.lose()
        container.wait_for_kill()
        return 0

    bench.play(go_away)
    with pytest.raises(EngineError):
        bench.run()
    bench.engine.come_back()
    (left,) = bench.engine.containers
    beside: list[str] = []

    def look(container: FakeContainer) -> int:
        beside.extend(bench.engine.containers)
        return say(container)

    bench.play(look)
    bench.run()
    assert len(beside) == 1 and left not in beside
    assert bench.leftovers() == []


def test_an_engine_that_goes_away_in_the_middle_is_told_as_lost_and_publishes_nothing(
    bench: Bench,
) -> None:
    def go_away(container: FakeContainer) -> int:
        say(container)
        bench.engine.lose()
        container.wait_for_kill()
        return 0

    bench.play(go_away)
    with pytest.raises(EngineError, match="lost while say ran") as error:
        bench.run()
    assert error.value.code == "engine_lost"
    assert not bench.target.exists()
    bench.engine.come_back()
    bench.play(say)
    assert not bench.run().steps["say"].cached


def test_a_connection_that_breaks_takes_its_container_along(bench: Bench) -> None:
    def cut(container: FakeContainer) -> int:
        container.disconnect()
        container.wait_for_kill()
        return 0

    bench.play(cut)
    with pytest.raises(EngineError) as error:
        bench.run()
    assert error.value.code == "engine_lost"
    assert bench.leftovers() == []


def test_a_container_that_somebody_else_removes_is_an_error_of_the_engine(bench: Bench) -> None:
    def vanish(container: FakeContainer) -> int:
        say(container)
        bench.engine.remove(container.id)
        return 0

    bench.play(vanish)
    with pytest.raises(EngineError, match="no such container"):
        bench.run()
    assert not bench.target.exists()


@pytest.fixture(scope="module")
def dead() -> Owner:
    """A process of this machine that is no more; home and the like are filled in later."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = start_time(process.pid)
    assert start is not None
    process.communicate()
    return Owner("", "", str(process.pid), start, "", "")


Ghost = Callable[..., str]


@pytest.fixture
def ghost(bench: Bench) -> Ghost:
    """Leave a container of the step with key `key`; its labels are those of `owner`."""
    image = bench.engine.add_image("ghost")

    def leave(owner: Owner, *, key: str = "key", run: str = "run-dead", without: str = "") -> str:
        marks = {**owner.labels(), labels.KEY: key, labels.RUN: run}
        marks.pop(without, None)
        name = f"ghost-{len(bench.engine.containers)}"
        return bench.engine.create(bare_container(image, name=name, labels=marks))

    return leave


def ours(session: Session, dead: Owner) -> Owner:
    return replace(session.owner, pid=dead.pid, start=dead.start)


def test_the_ghost_of_a_dead_owner_is_removed(bench: Bench, ghost: Ghost, dead: Owner) -> None:
    ghost(ours(bench.session, dead))
    reused = replace(bench.session.owner, start="1")
    ghost(reused)
    fence(bench.session, "key")
    assert bench.engine.containers == {}


def test_ghosts_of_other_steps_are_not_this_fences_business(
    bench: Bench, ghost: Ghost, dead: Owner
) -> None:
    left = ghost(ours(bench.session, dead), key="another key")
    fence(bench.session, "key")
    assert list(bench.engine.containers) == [left]


@pytest.mark.parametrize(
    "change", [{"uid": "77"}, {"home": "another"}, {"boot": "another"}, {"pidns": "4"}]
)
def test_what_another_user_home_boot_or_namespace_owns_stays(
    change: dict[str, str], bench: Bench, ghost: Ghost, dead: Owner
) -> None:
    left = ghost(replace(ours(bench.session, dead), **change))
    fence(bench.session, "key")
    assert list(bench.engine.containers) == [left]


def test_what_a_living_process_owns_stays(bench: Bench, ghost: Ghost) -> None:
    left = ghost(bench.session.owner)
    fence(bench.session, "key")
    assert list(bench.engine.containers) == [left]


def test_what_has_a_held_run_lock_stays_although_its_owner_looks_dead(
    bench: Bench, ghost: Ghost, dead: Owner
) -> None:
    left = ghost(ours(bench.session, dead))
    lock = bench.session.run_lock("run-dead")
    assert lock.try_acquire()
    fence(bench.session, "key")
    assert list(bench.engine.containers) == [left]
    lock.release()
    fence(bench.session, "key")
    assert bench.engine.containers == {}


@pytest.mark.parametrize(
    "without", [labels.RUN, *Owner("", "", "", "", "", "").labels()], ids=lambda name: str(name)
)
def test_what_lacks_one_label_stays(without: str, bench: Bench, ghost: Ghost, dead: Owner) -> None:
    left = ghost(ours(bench.session, dead), without=without)
    fence(bench.session, "key")
    assert list(bench.engine.containers) == [left]


def test_a_ghost_of_the_same_step_is_gone_before_its_retry_is_created(
    bench: Bench, ghost: Ghost, dead: Owner
) -> None:
    """It appears after the cleaning at the start of the run, as that of a run that dies then."""
    keys: list[str] = []

    def note(container: FakeContainer) -> int:
        keys.append(container.spec.labels[labels.KEY])
        return say(container)

    def haunt(spec: BuildSpec) -> None:
        ghost(ours(bench.session, dead), key=keys[0])

    bench.play(note)
    bench.run()
    for image in bench.engine.images({labels.EXAMPLE: "say"}):
        bench.engine.remove_image(image.id)
    bench.engine.calls.clear()
    bench.engine.builder = haunt
    bench.run(use_cache=False, overwrite=True)
    assert keys[0] == keys[1]
    assert bench.calls("build", "find", "create", "remove") == [
        "find", "build", "create", "find", "remove", "create", "remove",
    ]  # fmt: skip
    assert bench.leftovers() == []


def test_a_dead_run_is_cleaned_up_after_at_the_next_one(
    bench: Bench, ghost: Ghost, dead: Owner
) -> None:
    owner = ours(bench.session, dead)
    ghost(owner)
    work, staging = bench.session.dirs.work / "run-dead", bench.folder / ".cvl-staging-run-dead"
    mine = bench.folder / "work"
    folders: list[Path] = [work, staging, mine]
    for folder in folders:
        folder.mkdir(parents=True)
    bench.session.records.begin("run-dead", "say", "predict", owner, folders)
    bench.run()
    assert bench.leftovers() == []
    assert mine.exists()
    records = {record.id: record.state for record in bench.session.records.runs()}
    assert records.pop("run-dead") == "interrupted"
    assert list(records.values()) == ["ok"]
