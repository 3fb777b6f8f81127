"""Signals at every named point of a run: nothing leaks, nothing half-written, the right exit
code."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cvl.faultpoint import POINTS
from tests.conftest import STUBS, Cvl
from tests.support import leaks
from tests.support.engine import Engine

ROUNDS = 10 if os.environ.get("CVL_TEST_FULL") else 4
EXIT = {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -signal.SIGKILL}
RUN = ("run", "stub", "predict", "--no-cache", "--overwrite", "--output", "out.txt", "--seed", "7")
OLD, NEW = "what was there before\n", "ok 7\n"

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("signal_name", EXIT)
@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_left_after_a_signal_at(
    point: str, signal_name: str, cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    target = tmp_path / "out.txt"
    assert cvl(*RUN).returncode == 0
    clean = leaks.take(engine, tmp_path, tmp_path / "home")
    for _ in range(ROUNDS):
        target.write_text(OLD)
        struck = cvl(*RUN, env={"CVL_FAULT": f"{point}:{signal_name}"})
        assert struck.returncode == EXIT[signal_name], struck.stderr
        assert target.read_text() == OLD
        if signal_name == "SIGKILL":
            assert cvl(*RUN).returncode == 0
            assert target.read_text() == NEW
        left = leaks.leaked(clean, leaks.take(engine, tmp_path, tmp_path / "home"))
        assert left == []


@pytest.mark.parametrize("signal_name", EXIT)
@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_left_of_a_chain_after_a_signal_at(
    point: str, signal_name: str, cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    """Steps of a chain run in threads; signals arrive in another one."""
    chain = ("run", "twostep", "predict", "--no-cache", "--overwrite", "--output", "out.txt")
    target = tmp_path / "out.txt"
    target.write_text(OLD)
    struck = cvl(*chain, env={"CVL_FAULT": f"{point}:{signal_name}"})
    assert struck.returncode == EXIT[signal_name], struck.stderr
    assert target.read_text() == OLD
    assert cvl(*chain).returncode == 0
    left = leaks.take(engine, tmp_path, tmp_path / "home")
    assert not (left.staging | left.work | left.run_locks | left.processes)


def _start(environment: dict[str, str], cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cvl", *arguments],
        env={"CVL_EXAMPLES": str(STUBS), **environment},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _until_progress(process: subprocess.Popen[str], done: float) -> None:
    """Read the run's JSON events until the stub says how far it is."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{"):
            event = json.loads(line)
            if event["event"] == "progress" and event["phase"] == "run" and event["done"] >= done:
                return
    raise AssertionError("the run ended before it said how far it was")


def test_a_second_ctrl_c_ends_a_deaf_container_within_a_second(
    engine_env: dict[str, str], cvl: Cvl, tmp_path: Path
) -> None:
    assert cvl("run", "stub", "build").returncode == 0
    arguments = ["run", "stub", "predict", "--act", "deaf", "--amount", "60", "--progress", "json"]
    process = _start(engine_env, tmp_path, *arguments)
    _until_message(process, "deaf from now on")
    process.send_signal(signal.SIGINT)
    assert process.poll() is None
    _until_message(process, "stopping")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 1.0


def _until_message(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"the run ended without saying {word!r}")


def test_a_first_ctrl_c_lets_a_program_that_listens_end_at_once(
    engine_env: dict[str, str], cvl: Cvl, tmp_path: Path
) -> None:
    assert cvl("run", "stub", "build").returncode == 0
    arguments = ["run", "stub", "predict", "--act", "sleep", "--amount", "60", "--progress", "json"]
    process = _start(engine_env, tmp_path, *arguments)
    _until_progress(process, 1)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert time.monotonic() - began < 5
    assert "error: cancelled" in errors


def test_a_timeout_stops_the_step_with_exit_7(cvl: Cvl) -> None:
    result = cvl("run", "stub", "predict", "--act", "sleep", "--amount", "60", "--timeout", "1")
    assert result.returncode == 7
    assert "took longer than 1 s" in result.stderr


def _start_slow_build(environment: dict[str, str], tmp_path: Path) -> subprocess.Popen[str]:
    """A build that is in the middle of an instruction that takes ten minutes."""
    folder = tmp_path / "examples" / "stub"
    folder.mkdir(parents=True)
    for file in (STUBS / "stub").glob("*.*"):
        (folder / file.name).write_bytes(file.read_bytes())
    dockerfile = (STUBS / "stub" / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(dockerfile.replace("WORKDIR", "RUN sleep 600\nWORKDIR"))
    environment = {**environment, "CVL_EXAMPLES": str(folder.parent)}
    process = _start(environment, tmp_path, "run", "stub", "build", "--progress", "json")
    _until_message(process, "sleep 600")
    return process


def test_a_ctrl_c_during_a_build_ends_the_build(engine_env: dict[str, str], tmp_path: Path) -> None:
    process = _start_slow_build(engine_env, tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_killed_build_takes_its_client_with_it_and_its_folder_goes_at_the_next_run(
    engine_env: dict[str, str], cvl: Cvl, tmp_path: Path
) -> None:
    process = _start_slow_build(engine_env, tmp_path)
    work = tmp_path / "home" / "cache" / "work"
    assert [path.name[:6] for path in work.iterdir()] == ["build-"]
    clients = [os.pidfd_open(pid) for pid in leaks.process_ids(tmp_path / "home") - {process.pid}]
    assert clients
    process.kill()
    process.communicate(timeout=30)
    for client in clients:
        ended, _, _ = select.select([client], [], [], 10)
        os.close(client)
        assert ended
    assert cvl("run", "stub", "predict").returncode == 0
    assert list(work.iterdir()) == []
