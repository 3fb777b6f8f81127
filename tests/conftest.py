"""Fixtures: an engine, a CVL_HOME of the test's own, the command line, and a leak check around
it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import engine as engines
from tests.support import images, leaks, packages

collect_ignore = ["models"]
"""They need torch, and run where it is: `pytest -c /dev/null --noconftest tests/models`."""
STUBS = Path(__file__).parent / "support" / "examples"
Cvl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """ffmpeg, espeak-ng and Docker are there, installed if they may be."""
    packages.ensure_programs()


@pytest.fixture(scope="session")
def engine(programs: None) -> Iterator[engines.Engine]:
    """An engine with the base images in it."""
    found = engines.provide()
    images.ensure_images(found)
    yield found
    found.stop()


@pytest.fixture(scope="session")
def private_engine(
    engine: engines.Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[engines.Engine]:
    """An engine of its own, in its own network namespace, with the stand-in for NVIDIA's hook."""
    started = engines.start(tmp_path_factory.mktemp("private") / "data", namespace=True)
    images.copy_image(engine, started, images.PYTHON)
    yield started
    started.stop()


def environment_for(engine: engines.Engine, home: Path) -> dict[str, str]:
    """Environment of a cvl that uses `engine` and keeps everything below `home`."""
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    environment.update(
        CVL_HOME=str(home),
        CVL_LEASE_DIR=str(home.parent / "leases"),
        DOCKER_HOST=engine.host,
        PYTHONPATH=str(Path(__file__).parent.parent),
        COLUMNS="80",
    )
    if engine.network:
        environment["CVL_BUILD_NETWORK"] = engine.network
    return environment


@pytest.fixture
def engine_env(engine: engines.Engine, tmp_path: Path) -> dict[str, str]:
    """Environment of a cvl with a fresh CVL_HOME on the tests' engine."""
    return environment_for(engine, tmp_path / "home")


@pytest.fixture
def cvl(engine_env: dict[str, str], tmp_path: Path) -> Cvl:
    """Run `cvl ...` in the test's folder, with the stub examples within reach."""

    def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return run_cvl(engine_env, tmp_path, *arguments, **more)

    return run


def run_cvl(
    environment: dict[str, str], cwd: Path, *arguments: str, **more: Any
) -> subprocess.CompletedProcess[str]:
    """One cvl command to its end; 120 s at most."""
    extra = {"CVL_EXAMPLES": str(STUBS), **environment, **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "cvl", *arguments],
        env=extra, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **more,
    )  # fmt: skip


def data_of(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The data of a successful --json command."""
    assert result.returncode == 0, result.stdout + result.stderr
    data: dict[str, Any] = json.loads(result.stdout)["data"]
    return data


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A Docker test leaves nothing: no container, volume, network, staging folder, process or
    lock."""
    if request.node.get_closest_marker("docker") is None:
        yield
        return
    name = "private_engine" if "private_engine" in request.fixturenames else "engine"
    engine: engines.Engine = request.getfixturevalue(name)
    tmp_path: Path = request.getfixturevalue("tmp_path")
    before = leaks.take(engine, tmp_path, tmp_path / "home")
    yield
    assert leaks.leaked(before, leaks.take(engine, tmp_path, tmp_path / "home")) == []
