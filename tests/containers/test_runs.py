"""Builds and runs at the same time, the result store, and pipelines on a real engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import STUBS, Cvl, data_of, environment_for, run_cvl
from tests.support import engine as engines
from tests.support import images
from tests.support.engine import Engine

pytestmark = pytest.mark.docker


def _at_once(
    count: int, environment: dict[str, str], cwd: Path, *arguments: str
) -> list[subprocess.CompletedProcess[str]]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "cvl", *(a.replace("%N", str(n)) for a in arguments)],
            env={"CVL_EXAMPLES": str(STUBS), **environment},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    results = []
    for process in processes:
        output, errors = process.communicate(timeout=120)
        results.append(
            subprocess.CompletedProcess(process.args, process.returncode, output, errors)
        )
    return results


def _own_stub(tmp_path: Path, mark: str) -> str:
    """A copy of the stub with a context of its own, so that nobody has built it yet."""
    folder = tmp_path / "own" / "stub"
    folder.mkdir(parents=True)
    for file in (STUBS / "stub").glob("*.*"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "Dockerfile").write_text((STUBS / "stub" / "Dockerfile").read_text())
    (folder / "mark.py").write_text(f"# {mark} {os.getpid()}\n")
    return str(folder.parent)


def test_two_builds_of_one_image_at_once_become_one_and_an_unchanged_example_builds_nothing(
    engine_env: dict[str, str], cvl: Cvl, tmp_path: Path
) -> None:
    examples = _own_stub(tmp_path, str(tmp_path))
    environment = {**engine_env, "CVL_EXAMPLES": examples}
    results = _at_once(3, environment, tmp_path, "run", "stub", "build", "--json")
    images = [data_of(result)["images"][0] for result in results]
    assert sorted(image["built"] for image in images) == [False, False, True]
    assert len({image["image"] for image in images}) == 1
    again = data_of(cvl("run", "stub", "build", "--json", env={"CVL_EXAMPLES": examples}))
    assert again["images"][0]["built"] is False
    readme = Path(examples) / "stub" / "README.md"
    readme.write_text("an edit that changes nothing in the image")
    again = data_of(cvl("run", "stub", "build", "--json", env={"CVL_EXAMPLES": examples}))
    assert again["images"][0]["built"] is False


def test_identical_runs_at_once_start_one_container_and_all_succeed(
    engine_env: dict[str, str], cvl: Cvl, tmp_path: Path
) -> None:
    assert cvl("run", "stub", "build").returncode == 0
    arguments = ("run", "stub", "predict", "--act", "sleep", "--amount", "1", "-o", "%N.txt")
    results = _at_once(3, engine_env, tmp_path, *arguments, "--json")
    cached = [data_of(result)["steps"]["stub"]["cached"] for result in results]
    assert sorted(cached) == [False, True, True]
    assert len({(tmp_path / f"{n}.txt").read_text() for n in range(3)}) == 1


def test_a_second_run_finds_the_result_and_the_same_bytes_are_not_written_again(
    cvl: Cvl, tmp_path: Path
) -> None:
    first = data_of(cvl("run", "stub", "predict", "--json"))
    before = (tmp_path / "result.txt").stat()
    again = data_of(cvl("run", "stub", "predict", "--json"))
    assert (first["steps"]["stub"]["cached"], again["steps"]["stub"]["cached"]) == (False, True)
    assert again["unchanged"] == ["result"]
    after = (tmp_path / "result.txt").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    other = cvl("run", "stub", "predict", "--seed", "5", "-o", "result.txt")
    assert other.returncode == 2 and "exists" in other.stderr
    fresh = data_of(cvl("run", "stub", "predict", "--no-cache", "--overwrite", "--json"))
    assert fresh["steps"]["stub"]["cached"] is False


def test_a_chain_passes_files_from_container_to_container(cvl: Cvl, tmp_path: Path) -> None:
    data = data_of(cvl("run", "twostep", "predict", "--seed", "9", "-o", "chain.txt", "--json"))
    assert (tmp_path / "chain.txt").read_text() == "ok 9\n"
    assert set(data["steps"]) == {"first", "second"}
    assert all(step["image"].startswith("sha256:") for step in data["steps"].values())


def test_a_chain_goes_on_where_a_failed_one_stopped(cvl: Cvl, tmp_path: Path) -> None:
    assert cvl("run", "twostep", "predict", "--second.act", "raise_error").returncode == 1
    data = data_of(cvl("run", "twostep", "predict", "--json"))
    assert data["steps"]["first"]["cached"] is True
    assert data["steps"]["second"]["cached"] is False


def test_a_dry_run_builds_and_starts_nothing(cvl: Cvl, engine: Engine, tmp_path: Path) -> None:
    result = cvl(
        "run", "twostep", "predict", "--dry-run", "--json", env={"DOCKER_HOST": "unix:///x"}
    )
    data = data_of(result)
    assert [step["step"] for step in data["steps"]] == ["first", "second"]
    assert not (tmp_path / "result.txt").exists()
    assert not (tmp_path / "home" / "state").exists()


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("unix:///nonexistent/docker.sock", "engine_unreachable"),
        ("tcp://192.0.2.1:2375", "engine_remote"),
        ("ssh://somebody@192.0.2.1", "engine_remote"),
        ("tcp://127.0.0.1:1", "engine_unreachable"),
    ],
)
def test_an_engine_that_cannot_be_used_is_exit_3_with_what_to_do(
    host: str, code: str, cvl: Cvl
) -> None:
    result = cvl("run", "stub", "predict", env={"DOCKER_HOST": host})
    assert result.returncode == 3
    assert "hint: " in result.stderr
    told = cvl("run", "stub", "predict", "--json", env={"DOCKER_HOST": host})
    assert f'"code": "{code}"' in told.stdout


def test_a_docker_context_decides_which_engine_is_used(
    cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    config = {"DOCKER_CONFIG": str(tmp_path / "docker")}
    (tmp_path / "docker").mkdir()
    environment = {**os.environ, **config}
    environment.pop("DOCKER_HOST", None)
    create = ["docker", "context", "create", "tests", "--docker", f"host={engine.host}"]
    subprocess.run(create, check=True, env=environment, capture_output=True)
    result = cvl(
        "run", "stub", "predict", env={**config, "DOCKER_HOST": "", "DOCKER_CONTEXT": "tests"}
    )
    assert result.returncode == 0, result.stderr
    missing = cvl(
        "run", "stub", "predict", env={**config, "DOCKER_HOST": "", "DOCKER_CONTEXT": "no"}
    )
    assert missing.returncode == 3 and "docker context ls" in missing.stderr


def test_an_engine_that_does_not_see_this_machines_files_is_told_as_such(
    engine: Engine, tmp_path: Path
) -> None:
    """Behind a local socket, as with a forwarded one: only a mount can tell."""
    home = tmp_path / "home"
    home.mkdir()
    blind = engines.start(tmp_path / "blind", namespace=True, blind_to=home)
    try:
        images.copy_image(engine, blind, images.PYTHON)
        result = run_cvl(environment_for(blind, home), tmp_path, "run", "stub", "predict", "--json")
    finally:
        blind.stop()
    assert result.returncode == 3
    assert '"code": "engine_remote"' in result.stdout
