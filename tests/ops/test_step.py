"""One step on the fake engine: the order of things, what is found again, and what ends how."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cvl.core.container import EngineFacts
from cvl.engine.fake import FakeContainer
from cvl.engine.protocol import BuildSpec
from cvl.errors import (
    BuildError,
    CvlError,
    GpuError,
    InputError,
    MemoryFault,
    OutputError,
    StepError,
    TargetExistsError,
    TimeoutFault,
)
from cvl.machine.gpus import Gpu
from cvl.ops import place
from cvl.store.locks import is_free
from tests.ops.bench import WAIT_S, Bench, Recorder, end_with, request_of, say, tell

GPU = Gpu(0, "GPU-aaaa", "H200", 10**11, 10**11, "550", "9.0")
WORK = ("build", "create", "start")


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "read_gpus", lambda: [GPU])


def lease(bench: Bench) -> Path:
    return bench.folder / "leases" / f"{GPU.uuid}.lock"


def step_locks(bench: Bench) -> list[bool]:
    """Of every step lock that there is: is it free?"""
    return [is_free(path) for path in bench.session.dirs.locks.glob("step/*.lock")]


def test_a_step_is_done_in_this_order_under_its_lock_and_its_lease(
    bench: Bench, one_gpu: None
) -> None:
    bench.add("paint", gpu="required")
    seen: list[tuple[str, list[bool], bool]] = []

    def build(spec: BuildSpec) -> None:
        seen.append(("build", step_locks(bench), is_free(lease(bench))))

    def paint(container: FakeContainer) -> int:
        seen.append(("run", step_locks(bench), is_free(lease(bench))))
        assert container.spec.gpus == (GPU.uuid,)
        return say(container)

    bench.engine.builder = build
    bench.play(paint)
    bench.run("paint")
    assert seen == [("build", [False], True), ("run", [False], False)]
    assert step_locks(bench) == [True]
    assert is_free(lease(bench))
    # Ghosts of dead runs are looked for first, and those of this very step once there is an image.
    assert bench.calls("find", "build", "create", "start", "state", "remove") == [
        "find", "build", "find", "create", "start", "state", "remove",
    ]  # fmt: skip
    assert bench.leftovers() == []


def test_a_result_is_found_again_without_any_work(bench: Bench) -> None:
    first = bench.run()
    bench.engine.calls.clear()
    again = bench.run(output="again.txt")
    assert (first.steps["say"].cached, again.steps["say"].cached) == (False, True)
    assert (bench.folder / "again.txt").read_bytes() == bench.target.read_bytes()
    assert bench.calls(*WORK) == []


@pytest.mark.parametrize(
    ("change", "works"),
    [({"text": "ho"}, ["create", "start"]), ({"use_cache": False}, ["create", "start"])],
)
def test_another_input_or_no_cache_runs_again_without_a_build(
    change: dict[str, Any], works: list[str], bench: Bench
) -> None:
    bench.run()
    bench.engine.calls.clear()
    assert not bench.run(output="again.txt", **change).steps["say"].cached
    assert bench.calls(*WORK) == works


def test_a_result_of_this_very_context_is_found_when_its_image_is_gone(bench: Bench) -> None:
    bench.run()
    for image in bench.engine.images({}):
        bench.engine.remove_image(image.id)
    bench.engine.calls.clear()
    assert bench.run(output="again.txt").steps["say"].cached
    assert bench.calls(*WORK) == []


def test_an_image_that_was_built_anew_has_results_of_its_own(bench: Bench) -> None:
    bench.run()
    for image in bench.engine.images({}):
        bench.engine.remove_image(image.id)
    bench.run(use_cache=False, overwrite=True)
    assert bench.run(output="again.txt").steps["say"].cached
    assert (bench.folder / "again.txt").read_bytes() == bench.target.read_bytes()


def test_without_a_seed_any_earlier_result_is_found_and_with_one_only_its_own(
    bench: Bench,
) -> None:
    assert not bench.run(seed=5, output="5.txt").steps["say"].cached
    assert bench.run(output="any.txt").steps["say"].cached
    assert not bench.run(seed=6, output="6.txt").steps["say"].cached
    assert bench.run(seed=5, output="5again.txt").steps["say"].cached
    texts = [(bench.folder / f"{n}.txt").read_text() for n in ("5", "any", "6", "5again")]
    assert texts == ["hi 5\n", "hi 5\n", "hi 6\n", "hi 5\n"]


def test_a_run_with_a_seed_does_not_change_what_one_without_finds(bench: Bench) -> None:
    bench.run(output="first.txt")
    bench.run(seed=5, output="5.txt")
    assert bench.run(output="again.txt").steps["say"].cached
    first, again = ((bench.folder / f"{n}.txt").read_text() for n in ("first", "again"))
    assert first == again != "hi 5\n"


def test_a_second_identical_run_waits_for_the_first_and_takes_its_result(bench: Bench) -> None:
    session = bench.another()
    report = session.report
    assert isinstance(report, Recorder)

    def slow(container: FakeContainer) -> int:
        report.until("wait")
        return say(container)

    bench.play(slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(bench.run, seed=1)
        bench.report.until("run")
        second = pool.submit(bench.run, seed=1, output="second.txt", session=session)
        assert not first.result(WAIT_S).steps["say"].cached
        assert second.result(WAIT_S).steps["say"].cached
    assert bench.calls("create") == ["create"]


def test_what_is_in_the_way_of_the_output_is_told_before_any_work(bench: Bench) -> None:
    bench.target.write_text("mine")
    with pytest.raises(TargetExistsError):
        bench.run()
    assert bench.calls(*WORK) == []
    assert bench.target.read_text() == "mine"


def test_what_is_in_the_way_is_no_matter_when_the_result_is_known_to_be_the_same(
    bench: Bench,
) -> None:
    bench.run()
    assert bench.run().unchanged == ("result",)


def test_a_known_result_does_not_replace_something_else(bench: Bench) -> None:
    bench.run(output="other.txt")
    bench.target.write_text("mine")
    with pytest.raises(TargetExistsError):
        bench.run()
    assert bench.target.read_text() == "mine"


def test_a_file_that_appears_while_the_step_runs_is_not_replaced_and_the_work_is_kept(
    bench: Bench,
) -> None:
    def intrude(container: FakeContainer) -> int:
        bench.target.write_text("mine")
        return say(container)

    bench.play(intrude)
    with pytest.raises(TargetExistsError):
        bench.run()
    assert bench.target.read_text() == "mine"
    assert bench.leftovers() == []
    assert bench.run(output="elsewhere.txt").steps["say"].cached


def test_a_secret_goes_over_stdin_and_nowhere_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAY_SECRET", "s3cr3t")
    got: list[dict[str, Any]] = []

    def look(container: FakeContainer) -> int:
        got.append(request_of(container)["secrets"])
        assert "s3cr3t" not in repr(container.spec)
        return say(container)

    bench.play(look)
    bench.run()
    assert got == [{"SAY_SECRET": "s3cr3t"}]
    written = [p for p in (bench.folder / "home").rglob("*") if p.is_file()]
    assert written
    assert not any(b"s3cr3t" in path.read_bytes() for path in written)


def test_a_build_that_fails_names_the_example_and_starts_nothing(bench: Bench) -> None:
    def broken(spec: BuildSpec) -> None:
        raise BuildError("no such package", hint="mend it")

    bench.engine.builder = broken
    with pytest.raises(BuildError, match="say: no such package"):
        bench.run()
    assert bench.calls("create") == []
    assert bench.leftovers() == []


def oom(container: FakeContainer) -> int:
    container.oom_killed = True
    return 137


def engine_said(container: FakeContainer) -> int:
    container.error = 'could not select device driver "" with capabilities: [[gpu]]'
    return 128


@pytest.mark.parametrize(
    ("program", "kind", "code"),
    [
        (lambda c: 3, StepError, "step_failed"),
        (lambda c: 137, StepError, "step_failed"),
        (oom, MemoryFault, "container_out_of_memory"),
        (engine_said, GpuError, "gpu_not_available"),
        (
            lambda c: end_with(c, 75, status="oom", device="cuda"),
            MemoryFault,
            "device_out_of_memory",
        ),
        (lambda c: end_with(c, 65, status="input", message="no", code="mute"), InputError, "mute"),
        (lambda c: end_with(c, 76, status="output", message="no"), OutputError, "bad_output"),
        (lambda c: 0, OutputError, "bad_output"),
    ],
    ids=["3", "137", "oom", "engine", "device oom", "input", "output", "no output"],
)
def test_every_end_has_its_name_and_leaves_nothing(
    program: Any, kind: type[CvlError], code: str, bench: Bench
) -> None:
    bench.play(program)
    with pytest.raises(kind) as error:
        bench.run()
    assert error.value.code == code
    assert bench.leftovers() == []
    assert bench.state() == "failed"
    assert not bench.target.exists()
    bench.play(say)
    assert not bench.run().steps["say"].cached


def test_a_child_that_was_killed_for_memory_under_good_outputs_is_a_warning(bench: Bench) -> None:
    def lucky(container: FakeContainer) -> int:
        container.oom_killed = True
        return say(container)

    bench.play(lucky)
    assert "killed for memory" in bench.run().warnings[0]
    assert bench.target.exists()


def test_what_a_program_says_last_is_in_the_error(bench: Bench) -> None:
    def fail(container: FakeContainer) -> int:
        raise RuntimeError("the model is broken")

    bench.play(fail)
    with pytest.raises(StepError, match="RuntimeError: the model is broken") as error:
        bench.run()
    assert "say.log" in error.value.hint


def test_metrics_and_warnings_of_a_step_are_in_its_result(bench: Bench) -> None:
    def talk(container: FakeContainer) -> int:
        tell(container, event="metric", name="fps", value=24)
        tell(container, event="warning", message="it is dark")
        return say(container)

    bench.play(talk)
    result = bench.run()
    assert result.steps["say"].metrics == {"fps": 24.0}
    assert result.warnings == ["it is dark"]
    assert bench.report.warnings == ["say: it is dark"]


@pytest.mark.parametrize("deaf", [False, True], ids=["listening", "deaf"])
def test_a_step_that_takes_too_long_is_ended(
    deaf: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvl.ops.step.GRACE_S", 0.05)

    def slow(container: FakeContainer) -> int:
        if deaf:
            container.wait_for_kill()
        container.wait_for_stop()
        return say(container)

    bench.play(slow)
    with pytest.raises(TimeoutFault) as error:
        bench.run(timeout_s=0.05)
    assert error.value.status == 7
    assert bench.leftovers() == []
    assert not bench.target.exists()


def test_a_step_that_needs_more_memory_than_the_engine_has_is_refused(bench: Bench) -> None:
    text = "name: big\nsummary: Big\nlicense: {code: MIT}\nresources: {ram_gb: 65}\n"
    bench.add("big", f"{text}inputs: {{}}\noutputs: {{result: {{type: file, default: a.txt}}}}\n")
    with pytest.raises(CvlError, match="65 GB") as error:
        bench.run("big")
    assert error.value.code == "not_enough_memory"
    assert bench.calls(*WORK) == []


def test_a_rootless_engine_maps_the_caller_to_root(bench: Bench) -> None:
    bench.engine.given = EngineFacts(name="fake", version="0", memory=64 * 10**9, rootless=True)
    users: list[str] = []

    def look(container: FakeContainer) -> int:
        users.append(container.spec.user)
        users.append(container.host("/etc/passwd").read_text().split(":/")[0])
        return say(container)

    bench.play(look)
    bench.run()
    assert users == ["0:0", "cvl:x:0:0:cvl"]


@pytest.mark.parametrize("name", ["result.json", "events.jsonl"])
@pytest.mark.parametrize("how", ["symlink", "fifo", "folder"])
def test_a_control_file_that_a_program_replaces_is_never_followed(
    name: str, how: str, bench: Bench
) -> None:
    """The link leads to a file that would be believed if it were read."""
    bait = bench.folder / "bait"
    bait.write_text('{"event": "warning", "message": "w", "dtype": "stolen"}\n')
    make = {"symlink": lambda path: os.symlink(bait, path), "fifo": os.mkfifo, "folder": os.mkdir}

    def replace(container: FakeContainer) -> int:
        control = container.host("/cvl/control") / name
        control.unlink(missing_ok=True)
        make[how](control)
        return say(container)

    bench.play(replace)
    result = bench.run()
    assert (result.warnings, bench.report.warnings) == ([], [])
    assert bench.target.exists()
    assert bench.leftovers() == []
    entries = list(bench.session.dirs.results.glob("keys/*/*.json"))
    assert entries
    assert not any("stolen" in entry.read_text() for entry in entries)


@pytest.mark.parametrize("how", ["symlink", "fifo", "folder"])
def test_a_failure_that_is_told_through_a_replaced_file_is_not_believed(
    how: str, bench: Bench
) -> None:
    bait = bench.folder / "bait"
    bait.write_text('{"status": "input", "message": "do what I say"}')
    make = {"symlink": lambda path: os.symlink(bait, path), "fifo": os.mkfifo, "folder": os.mkdir}

    def lie(container: FakeContainer) -> int:
        make[how](container.host("/cvl/control/result.json"))
        return 65

    bench.play(lie)
    with pytest.raises(StepError, match="exit 65"):
        bench.run()
