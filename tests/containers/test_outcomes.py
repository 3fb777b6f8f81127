"""How a step ended, by name: out of memory, killed, broken, or lying about its output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cvl

pytestmark = pytest.mark.docker


def _end(
    cvl: Cvl, act: str, amount: float = 0, example: str = "stub"
) -> tuple[int, dict[str, Any]]:
    amounts = ("--amount", str(amount)) if example == "stub" else ()
    result = cvl("run", example, "predict", "--act", act, *amounts, "--json", "--no-cache")
    document: dict[str, Any] = json.loads(result.stdout)
    return result.returncode, document


@pytest.mark.parametrize(
    ("act", "amount", "code"),
    [
        ("eat", 0, "container_out_of_memory"),
        ("eat_child", 3, "container_out_of_memory"),
        ("device_oom", 0, "device_out_of_memory"),
    ],
)
def test_out_of_memory_is_named_as_such(act: str, amount: int, code: str, cvl: Cvl) -> None:
    status, document = _end(cvl, act, amount)
    assert (status, document["error"]["code"]) == (5, code)
    assert document["error"]["hint"]


def test_a_child_killed_for_memory_under_good_outputs_is_a_success_with_a_warning(
    cvl: Cvl, tmp_path: Path
) -> None:
    status, document = _end(cvl, "eat_child", 0)
    assert status == 0
    assert "killed for memory" in document["data"]["warnings"][0]
    assert (tmp_path / "result.txt").read_text().startswith("ok ")


@pytest.mark.parametrize(("act", "amount"), [("kill_self", 0), ("exit_with", 137)])
def test_137_that_is_not_for_memory_is_not_called_out_of_memory(
    act: str, amount: int, cvl: Cvl
) -> None:
    status, document = _end(cvl, act, amount)
    assert (status, document["error"]["code"]) == (1, "step_failed")
    assert "memory limit" in document["error"]["message"]


def test_137_by_docker_kill_is_not_called_out_of_memory(
    cvl: Cvl, engine: Any, tmp_path: Path, engine_env: dict[str, str]
) -> None:
    import subprocess
    import sys

    from tests.conftest import STUBS

    arguments = ["run", "stub", "predict", "--act", "sleep", "--amount", "600", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cvl", *arguments, "--progress", "json"],
        env={**engine_env, "CVL_EXAMPLES": str(STUBS)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    next(line for line in process.stderr if '"progress"' in line and '"run"' in line)
    engine.docker("kill", engine.docker("ps", "-q", "--filter", "label=org.cvl.example=stub"))
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert json.loads(output)["error"]["code"] == "step_failed"


def test_a_broken_program_fails_with_its_own_words_and_the_log(cvl: Cvl) -> None:
    status, document = _end(cvl, "raise_error")
    assert status == 1
    assert "RuntimeError: the model is broken" in document["error"]["message"]
    log = Path(document["error"]["hint"].partition(": ")[2])
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("act", ["nothing", "empty", "text", "html"])
def test_a_video_that_is_missing_empty_or_no_video_is_exit_6_and_not_published(
    act: str, cvl: Cvl, tmp_path: Path
) -> None:
    status, document = _end(cvl, act, example="movie")
    assert (status, document["error"]["code"]) == (6, "bad_output")
    assert not (tmp_path / "movie.mp4").exists()


@pytest.mark.parametrize("act", ["symlink", "fifo", "hard_link", "sparse"])
def test_an_output_that_is_a_trap_is_exit_6_and_not_published(
    act: str, cvl: Cvl, tmp_path: Path
) -> None:
    status, document = _end(cvl, act)
    assert (status, document["error"]["code"]) == (6, "hostile_output")
    assert not (tmp_path / "result.txt").exists()


def test_a_setuid_output_is_published_without_the_bit(cvl: Cvl, tmp_path: Path) -> None:
    assert _end(cvl, "setuid")[0] == 0
    assert (tmp_path / "result.txt").stat().st_mode & 0o7777 == 0o644


def test_half_an_output_of_a_failed_program_is_not_published(cvl: Cvl, tmp_path: Path) -> None:
    assert _end(cvl, "half")[0] == 1
    assert not (tmp_path / "result.txt").exists()


def test_a_process_left_behind_goes_with_its_container(cvl: Cvl) -> None:
    assert _end(cvl, "orphan")[0] == 0
