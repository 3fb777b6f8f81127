"""What earlier runs teach the offload ladder of the memory that a mode takes."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from cvl.core.offload import Attempt
from cvl.engine.fake import FakeContainer, Program
from tests.ops.bench import tell
from tests.ops.ladders import GB, MODES, Machine, child, device, paint, pid_1
from tests.support.files import picture


def test_what_ran_out_of_memory_is_passed_over_the_next_time_there_is_no_more_of_it(
    machine: Machine,
) -> None:
    machine.play(device("cuda"), "fp8")
    machine.run(text="one")
    assert machine.modes == ["none", "model", "fp8"]
    assert machine.run(text="two").warnings == []
    assert machine.modes == ["fp8"]
    machine.free += 1
    machine.run(text="three")
    assert machine.modes == ["none", "model", "fp8"]


def test_the_second_of_two_equal_runs_finds_the_result_at_once(machine: Machine) -> None:
    machine.play(device("cuda"), "fp8")
    machine.run()
    step = machine.run()
    assert (step.cached, step.offload, step.attempts, machine.modes) == (True, "fp8", (), [])


@pytest.mark.parametrize("oom", [pid_1, child, device("cpu")])
def test_a_mode_that_ran_into_the_containers_limit_is_passed_over_under_the_same_limit(
    oom: Program, machine: Machine
) -> None:
    machine.play(oom, "model")
    machine.run(text="one")
    machine.run(text="two")
    assert machine.modes == ["model"]
    manifest = machine.bench.folder / "examples" / "paint" / "example.yaml"
    manifest.write_text(manifest.read_text().replace("limit_gb: 8", "limit_gb: 16"))
    machine.run(text="three")
    assert machine.modes == ["none", "model"]


def needs(**peaks: float) -> Program:
    def program(container: FakeContainer) -> int:
        for name, value in peaks.items():
            tell(container, event="metric", name=f"peak_{name}_bytes", value=value)
        return paint(container)

    return program


@pytest.mark.parametrize(
    ("free", "modes"), [(95.5, ["none"]), (95, ["none"]), (94.9, ["model"]), (50, ["fp8"])]
)
def test_a_measured_peak_decides_where_the_manifest_promised_too_much(
    free: float, modes: list[str], machine: Machine
) -> None:
    machine.play(needs(vram=95 * GB, rss=GB))
    machine.run(text="one")
    machine.free = int(free * GB)
    machine.run(text="two")
    assert machine.modes == modes


def test_a_peak_is_of_inputs_of_one_size(machine: Machine, tmp_path: Path) -> None:
    machine.play(device("cuda"), "model")
    machine.run(frames=100)
    machine.run(frames=120)
    assert machine.modes == ["model"]
    machine.run(frames=10)
    assert machine.modes == ["none", "model"]
    for side, expected in ((64, ["none", "model"]), (65, ["model"]), (96, ["none", "model"])):
        image = picture(tmp_path / f"{side}.png", side, side)
        machine.run(image=str(image))
        assert machine.modes == expected


def test_a_success_is_believed_over_an_earlier_failure(machine: Machine) -> None:
    machine.play(device("cuda"), "model")
    machine.run(text="one")
    machine.play(needs(vram=50 * GB))
    machine.run(text="two", offload="none")
    machine.run(text="three")
    assert machine.modes == ["none"]


def test_what_was_learned_never_forbids_all(machine: Machine) -> None:
    machine.play(needs(vram=99 * GB))
    for mode in MODES:
        machine.run(offload=mode, text=mode)
    machine.free = 98 * GB
    machine.run(text="again")
    assert machine.modes == ["crawl"]


@pytest.mark.parametrize("value", [1e300, -1.0, 0, 2.0**63])
def test_a_peak_that_no_machine_has_is_not_believed(value: float, machine: Machine) -> None:
    machine.play(needs(vram=value, rss=value))
    machine.run(text="one")
    machine.run(text="two")
    assert machine.modes == ["none"]


def test_what_cannot_be_written_down_costs_no_result(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(container: FakeContainer) -> int:
        path = machine.bench.session.records.path
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("DROP TABLE peaks")
        return paint(container)

    machine.play(full)
    assert machine.run().attempts == (Attempt("none"),)


def test_what_was_learned_with_a_gpu_says_nothing_of_a_run_without_one(machine: Machine) -> None:
    machine.play(pid_1, "model")
    machine.run(text="one")
    machine.play(paint)
    machine.run(text="two", gpus="none")
    assert machine.modes == ["none"]
