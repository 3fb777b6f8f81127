"""Signals at every named point of a run without Docker, and many processes that want one
environment: nothing leaks, nothing half-made is used."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from cvl.faultpoint import POINTS
from tests.conftest import data_of, run_cvl
from tests.support.venvs import write_example, write_wheel
from tests.venv.conftest import begin, leftovers

FULL = bool(os.environ.get("CVL_TEST_FULL"))
ROUNDS = 10 if FULL else 4
RACES = 20 if FULL else 4
EXIT = {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -signal.SIGKILL}
RUN = ("run", "acts", "predict", "--no-cache", "--overwrite", "-o", "out.txt", "--seed", "7")
OLD, NEW = "what was there before", "hi"
ACT = "ctx.progress(1, 2)"


@pytest.mark.parametrize("signal_name", EXIT)
@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_left_after_a_signal_at(
    point: str, signal_name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    write_example(tmp_path / "mine" / "acts", act=ACT)
    target = tmp_path / "out.txt"
    assert run_cvl(environment, tmp_path, *RUN).returncode == 0
    for _ in range(ROUNDS):
        target.write_text(OLD)
        fault = {**environment, "CVL_FAULT": f"{point}:{signal_name}"}
        struck = run_cvl(fault, tmp_path, *RUN)
        assert struck.returncode == EXIT[signal_name], struck.stderr
        assert target.read_text() == OLD
        if signal_name == "SIGKILL":
            assert run_cvl(environment, tmp_path, *RUN).returncode == 0
            assert target.read_text() == NEW
        assert leftovers(tmp_path) == []


def test_of_eight_processes_that_want_an_environment_one_makes_it_and_all_use_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lock = write_wheel(tmp_path / "wheels")
    folder = write_example(tmp_path / "mine" / "acts", lock=lock)
    program = (folder / "predict.py").read_text()
    for number in range(RACES):
        (folder / "predict.py").write_text(f"{program}# {number}\n")
        words = ("acts", "build", "--engine", "venv", "--json")
        runs = [begin(environment, tmp_path, *words) for _ in range(8)]
        ends = [(run, *run.communicate(timeout=120)) for run in runs]
        assert [run.returncode for run, _, _ in ends] == [0] * 8, ends
        made = [json.loads(out)["data"]["images"][0] for _, out, _ in ends]
        assert sum(image["built"] for image in made) == 1
        assert len({image["image"] for image in made}) == 1
    assert len(list(tmp_path.glob("home/cache/envs/acts-*/env.json"))) == RACES
    run = run_cvl(environment, tmp_path, "run", "acts", "predict", "--json")
    assert data_of(run)["steps"]["acts"]["image"] == made[0]["image"]
