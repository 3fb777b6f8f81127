"""The offload ladder on the fake engine: which modes are tried after what."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cvl.core.offload import Attempt
from cvl.engine.fake import FakeContainer, Program, refused
from cvl.errors import BuildError, Cancelled, CvlError, MemoryFault
from tests.ops.bench import WAIT_S, Bench, Recorder, end_with, request_of, tell
from tests.ops.ladders import GB, MODES, Machine, child, device, machine_with, paint, pid_1
from tests.support.files import picture

KINDS = [
    pytest.param(pid_1, "container_out_of_memory", id="pid-1"),
    pytest.param(child, "container_out_of_memory", id="child"),
    pytest.param(device("cuda"), "device_out_of_memory", id="cuda"),
    pytest.param(device("mps"), "device_out_of_memory", id="mps"),
    pytest.param(device("cpu"), "out_of_memory", id="cpu"),
]


@pytest.mark.parametrize("rungs", [0, 1, 2, 3])
@pytest.mark.parametrize(("oom", "code"), KINDS)
def test_every_rung_is_tried_once_in_order_and_then_the_first_failure_is_told(
    oom: Program, code: str, rungs: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_with(rungs, bench, monkeypatch)
    machine.play(oom)
    with pytest.raises(MemoryFault) as caught:
        machine.run()
    assert machine.modes == list(MODES[: max(rungs, 1)])
    assert caught.value.code == code
    if rungs:
        assert f"tried: offload {', '.join(MODES[:rungs])};" in caught.value.hint
    assert bench.leftovers() == []
    assert bench.state() == "failed"


@pytest.mark.parametrize("enough", [0, 1, 2, 3])
@pytest.mark.parametrize(("oom", "code"), KINDS)
def test_the_first_rung_that_is_enough_gives_the_result(
    oom: Program, code: str, enough: int, machine: Machine
) -> None:
    machine.play(oom, *MODES[enough:])
    step = machine.run()
    assert machine.modes == list(MODES[: enough + 1])
    failed = [Attempt(mode, code) for mode in MODES[:enough]]
    assert step.attempts == (*failed, Attempt(MODES[enough]))
    assert (step.offload, step.cached) == (MODES[enough], False)
    assert machine.bench.target.read_text() == MODES[enough]
    assert len(step.warnings) == enough
    assert machine.bench.leftovers() == []


def test_three_steps_down_are_the_most_and_the_next_rung_is_named(machine: Machine) -> None:
    machine.play(device("cuda"), "disk", "crawl")
    with pytest.raises(MemoryFault, match="paint ran out of GPU memory") as caught:
        machine.run()
    assert machine.modes == ["none", "model", "fp8", "tiles"]
    assert "tried: offload none, model, fp8, tiles;" in caught.value.hint
    assert caught.value.hint.endswith("or give --offload disk")


def test_each_step_down_is_said_while_it_happens_and_in_the_result(machine: Machine) -> None:
    machine.play(device("cuda"), "model")
    said = "paint ran out of GPU memory with offload none and was run again with model"
    assert machine.run().warnings == [said]
    assert machine.bench.report.warnings == [said]


def test_the_first_failure_is_told_when_later_ones_are_of_another_kind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_with(2, bench, monkeypatch)

    def differ(container: FakeContainer) -> int:
        return pid_1(container) if len(machine.modes) > 1 else device("cuda")(container)

    machine.play(differ)
    with pytest.raises(MemoryFault) as caught:
        machine.run()
    assert caught.value.code == "device_out_of_memory"


@pytest.mark.parametrize(("oom", "code"), KINDS)
@pytest.mark.parametrize("asked", ["none", "false", "model", "true"])
def test_a_mode_that_was_named_is_the_only_one(
    asked: str, oom: Program, code: str, machine: Machine
) -> None:
    machine.play(oom, "fp8")
    with pytest.raises(MemoryFault) as caught:
        machine.run(offload=asked)
    assert machine.modes == [{"false": "none", "true": "model"}.get(asked, asked)]
    assert "tried" not in caught.value.hint


def test_only_rungs_below_the_one_it_began_on_are_tried(machine: Machine) -> None:
    machine.free = 45 * GB
    machine.play(device("cuda"), "none", "model")
    with pytest.raises(MemoryFault):
        machine.run()
    assert machine.modes == ["fp8", "tiles", "disk", "crawl"]


def crash(container: FakeContainer) -> int:
    raise RuntimeError("broken")


def exits(code: int, **result: str) -> Program:
    return lambda container: end_with(container, code, **result)


def refuse_to_start(container: FakeContainer) -> int:
    container.error = "exec: not found"
    return 127


OTHERS = [
    pytest.param(crash, "step_failed", id="exception"),
    pytest.param(exits(1, status="error", message="out of memory, it says"), "step_failed", id="1"),
    pytest.param(exits(137), "step_failed", id="137-without-the-flag"),
    pytest.param(exits(75), "step_failed", id="75-without-its-result"),
    pytest.param(exits(1, status="oom", device="cuda"), "step_failed", id="oom-without-75"),
    pytest.param(exits(139), "step_failed", id="segfault"),
    pytest.param(exits(153), "step_failed", id="file-too-large"),
    pytest.param(exits(65, status="input", message="no"), "bad_input", id="bad-input"),
    pytest.param(exits(76, status="output", message="no"), "bad_output", id="bad-output"),
    pytest.param(exits(0), "bad_output", id="no-output"),
    pytest.param(refuse_to_start, "engine", id="engine-error"),
]


@pytest.mark.parametrize(("failure", "code"), OTHERS)
def test_another_failure_is_never_tried_again(
    failure: Program, code: str, machine: Machine
) -> None:
    machine.play(failure, "model")
    with pytest.raises(CvlError) as caught:
        machine.run()
    assert (machine.modes, caught.value.code) == (["none"], code)
    assert "tried" not in caught.value.hint


def test_nor_a_timeout_a_lost_engine_or_a_refusal(machine: Machine) -> None:
    def wait(container: FakeContainer) -> int:
        container.wait_for_stop()
        return pid_1(container)

    machine.play(wait, "model")
    with pytest.raises(CvlError) as caught:
        machine.run(timeout_s=0.05)
    assert (machine.modes, caught.value.code) == (["none"], "timed_out")

    def lose(container: FakeContainer) -> int:
        container.disconnect()
        container.wait_for_kill()
        return pid_1(container)

    machine.play(lose, "model")
    with pytest.raises(CvlError) as caught:
        machine.run()
    assert (machine.modes, caught.value.code) == (["none"], "engine_lost")
    machine.bench.engine.fail("create", refused("no memory"))
    with pytest.raises(CvlError, match="no memory"):
        machine.run()
    assert machine.modes == []


def test_nor_a_failed_build(machine: Machine) -> None:
    def build(spec: object) -> None:
        raise BuildError("out of memory")

    machine.bench.engine.builder = build
    with pytest.raises(BuildError):
        machine.run()
    assert machine.bench.calls("build", "create") == ["build"]


@pytest.mark.parametrize(("oom", "code"), KINDS)
def test_a_cancel_while_memory_runs_out_ends_it(oom: Program, code: str, machine: Machine) -> None:
    def cancelled(container: FakeContainer) -> int:
        machine.bench.session.cancel.request(signal.SIGINT)
        return oom(container)

    machine.play(cancelled, "model")
    with pytest.raises(Cancelled):
        machine.run()
    assert machine.modes == ["none"]
    assert machine.bench.leftovers() == []


def test_a_later_attempt_has_the_inputs_and_nothing_else_of_the_earlier_one(
    machine: Machine, tmp_path: Path
) -> None:
    image = picture(tmp_path / "me.png", 8, 8)
    seen: list[tuple[bytes, list[str]]] = []

    def litter(container: FakeContainer) -> int:
        look(container)
        for folder in ("out", "control", "scratch"):
            left = container.host("/cvl/out").parent / folder / "left"
            left.mkdir()
            left.chmod(0)
        tell(container, event="warning", message="of the first")
        return device("cuda")(container)

    def look(container: FakeContainer) -> None:
        given = container.host(request_of(container)["inputs"]["image"])
        work = container.host("/cvl/out").parent
        found = [p.name for f in ("out", "control", "scratch") for p in (work / f).iterdir()]
        seen.append((given.read_bytes(), found))
        assert [p.name for p in work.parent.iterdir()] == [work.name]

    def program(container: FakeContainer) -> int:
        if request_of(container)["options"]["offload"] == "none":
            return litter(container)
        look(container)
        return paint(container)

    machine.bench.play(program)
    warnings = machine.run(image=str(image)).warnings
    assert seen == [(image.read_bytes(), ["events.jsonl"])] * 2
    assert len(warnings) == 1
    assert machine.bench.leftovers() == []


def test_an_exact_rung_has_the_key_of_the_one_above_and_an_inexact_one_its_own(
    machine: Machine,
) -> None:
    machine.play(device("cuda"), "tiles")
    machine.run()
    none, model, fp8, tiles = machine.keys
    assert none == model == tiles != fp8


def test_two_equal_runs_that_run_out_of_memory_both_succeed_and_make_one_result(
    machine: Machine,
) -> None:
    """The lock is free for a moment between two rungs: the other may try the upper one as well."""
    bench, session = machine.bench, machine.bench.another()

    def slow(container: FakeContainer) -> int:
        if len(machine.modes) == 1:
            bench.report.until("run")
            assert isinstance(session.report, Recorder)
            session.report.until("wait")
        return device("cuda")(container)

    machine.play(slow, "model")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(bench.run, "paint", seed=1)
        bench.report.until("run")
        second = pool.submit(bench.run, "paint", seed=1, output="2.txt", session=session)
        steps = [run.result(WAIT_S).steps["paint"] for run in (first, second)]
    assert sorted(step.cached for step in steps) == [False, True]
    assert machine.modes.count("model") == 1
    assert machine.modes.count("none") <= 2
    assert bench.leftovers() == []


def test_a_result_of_an_inexact_rung_is_looked_for_before_it_is_tried(machine: Machine) -> None:
    machine.play(device("cuda"), "fp8")
    machine.run(offload="fp8", seed=1)
    step = machine.run(seed=1)
    assert machine.modes == ["none", "model"]
    assert (step.cached, step.offload) == (True, "fp8")
    assert [attempt.offload for attempt in step.attempts] == ["none", "model"]
