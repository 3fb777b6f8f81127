"""Several seeds in one command, and names that nobody chose, on a real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import envelope_of
from tests.conftest import STUBS, Cvl, data_of
from tests.support.files import wav

pytestmark = pytest.mark.docker
PREDICT = ("run", "stub", "predict")


def _names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.glob("*.txt"))


def _start(environment: dict[str, str], cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cvl", *arguments],
        env={"CVL_EXAMPLES": str(STUBS), **environment},
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_each_seed_is_a_file_and_a_run_and_only_new_ones_are_made(cvl: Cvl, tmp_path: Path) -> None:
    first = envelope_of(cvl(*PREDICT, "--seed", "1..2", "-o", "out.txt", "--json"), "run")["data"]
    assert _names(tmp_path) == ["out-seed-0001.txt", "out-seed-0002.txt"]
    assert (tmp_path / "out-seed-0002.txt").read_text() == "ok 2\n"
    more = data_of(cvl(*PREDICT, "--seed", "1..4", "-o", "out.txt", "--json"))
    cached = [run["steps"]["stub"]["cached"] for run in more["runs"]]
    assert cached == [True, True, False, False]
    assert [run["seed"] for run in more["runs"]] == [1, 2, 3, 4]
    runs = data_of(cvl("ps", "-a", "--json"))["runs"]
    assert len(runs) == 6 and {run["state"] for run in runs} == {"ok"}
    told = data_of(cvl("logs", first["runs"][0]["run"], "--json"))
    assert (told["run"], told["state"]) == (first["runs"][0]["run"], "ok")
    quiet = cvl(*PREDICT, "--count", "2", "--seed", "3", "-o", "out.txt", "-q")
    assert quiet.stdout.splitlines() == [str(tmp_path / f"out-seed-000{n}.txt") for n in (3, 4)]
    assert quiet.stderr == ""


def test_a_chain_made_before_starts_no_container(cvl: Cvl) -> None:
    words = ("run", "twostep", "predict", "--seed", "5,6", "--json")
    assert len(data_of(cvl(*words))["runs"]) == 2
    again = data_of(cvl(*words))
    assert all(step["cached"] for run in again["runs"] for step in run["steps"].values())
    assert [run["unchanged"] for run in again["runs"]] == [["result"], ["result"]]


def test_a_count_alone_makes_as_many_different_ones(cvl: Cvl, tmp_path: Path) -> None:
    assert cvl(*PREDICT).returncode == 0
    runs = data_of(cvl(*PREDICT, "--count", "3", "--json"))["runs"]
    assert len({Path(run["outputs"]["result"]).read_text() for run in runs}) == 3
    assert all(str(run["seed"]) in run["outputs"]["result"] for run in runs)


def test_a_failing_one_is_told_with_those_that_were_made(cvl: Cvl, tmp_path: Path) -> None:
    made = cvl(*PREDICT, "--seed", "1", "-o", "out-seed-0001.txt")
    assert made.returncode == 0
    result = cvl(*PREDICT, "--act", "raise_error", "--seed", "1..2", "-o", "x.txt", "--json")
    envelope = envelope_of(result, "run", 1)
    assert [failed["seed"] for failed in envelope["data"]["failed"]] == [1, 2]
    assert envelope["error"]["message"].endswith("(failed: 1..2)")
    logs = cvl("logs", envelope["data"]["failed"][1]["run"])
    assert "the model is broken" in logs.stdout
    assert _names(tmp_path) == ["out-seed-0001.txt"]


def test_a_signal_ends_the_one_that_runs_and_the_rest_and_keeps_those_that_were_made(
    engine_env: dict[str, str], tmp_path: Path
) -> None:
    words = (*PREDICT, "--act", "sleep", "--amount", "2", "--seed", "1..3", "-o", "out.txt")
    process = _start(engine_env, tmp_path, *words, "--progress", "json", "--json")
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "message" and "variation 2 of 3" in event["text"]:
            process.send_signal(signal.SIGINT)
            break
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    data = json.loads(output)["data"]
    assert [run["seed"] for run in data["runs"]] == [1]
    assert ([f["seed"] for f in data["failed"]], data["not_started"]) == ([2], [3])
    assert "out-seed-0001.txt" in _names(tmp_path)
    assert not {"out-seed-0002.txt", "out-seed-0003.txt"} & set(_names(tmp_path))


def test_a_name_that_nobody_chose_is_numbered_and_found_again(cvl: Cvl, tmp_path: Path) -> None:
    (tmp_path / "result.txt").write_text("mine")
    for seed in ("1", "2", "1", "2"):
        assert cvl(*PREDICT, "--seed", seed).returncode == 0
    assert {name: (tmp_path / name).read_text() for name in _names(tmp_path)} == {
        "result.txt": "mine", "result-2.txt": "ok 1\n", "result-3.txt": "ok 2\n",
    }  # fmt: skip
    refused = cvl(*PREDICT, "--seed", "1", "-o", "result.txt")
    assert refused.returncode == 2 and "exists" in refused.stderr


def test_media_that_say_how_they_were_made_are_found_again_too(cvl: Cvl, tmp_path: Path) -> None:
    wav(tmp_path / "in.wav")
    words = ("run", "copier", "predict", "--source", "in.wav", "--output-sound", "given.wav")
    assert cvl(*words, "--seed", "1").returncode == 0
    (tmp_path / "copy.wav").write_bytes(b"mine")
    for _ in range(2):
        again = cvl("rerun", "given.wav", "--source", "in.wav", "-q")
        assert again.stdout.splitlines() == [str(tmp_path / "copy-2.wav")], again.stderr
    assert (tmp_path / "copy-2.wav").read_bytes() == (tmp_path / "given.wav").read_bytes()
    assert (tmp_path / "copy.wav").read_bytes() == b"mine"


@pytest.mark.parametrize("homes", ["one", "two"])
def test_processes_at_once_get_a_name_each_and_lose_nothing(
    engine_env: dict[str, str], cvl: Cvl, tmp_path: Path, homes: str
) -> None:
    """Also when they share nothing but the folder."""
    seeds = range(1, 7)
    for seed in seeds:  # made before, so that all of them publish at the same time
        assert cvl(*PREDICT, "--seed", str(seed), "-o", f"given-{seed}.txt").returncode == 0
    processes = []
    for seed in seeds:
        environment = dict(engine_env)
        if homes == "two" and seed % 2:
            environment["CVL_HOME"] = str(tmp_path / "home" / "other")
        words = (*PREDICT, "--seed", str(seed), "-q")
        processes.append(_start(environment, tmp_path, *words))
    paths = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 6
    assert len(set(paths)) == 6
    assert [Path(path).read_text() for path in paths] == [f"ok {seed}\n" for seed in seeds]
    assert {os.path.basename(path) for path in paths} == {
        "result.txt", *(f"result-{number}.txt" for number in range(2, 7)),
    }  # fmt: skip
