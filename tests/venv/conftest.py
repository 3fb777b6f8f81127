"""A machine without Docker: a CVL_HOME of the test's own, and nothing left of what ran."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.venvs import alive

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine without an engine, without a network, and with a CVL_HOME of the test's own."""
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_", "UV_", "PIP_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {
        **kept,
        "CVL_HOME": str(tmp_path / "home"),
        "CVL_EXAMPLES": str(tmp_path / "mine"),
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "PYTHONPATH": str(REPOSITORY),
        "COLUMNS": "80",
        "UV_FIND_LINKS": str(tmp_path / "wheels"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_OFFLINE": "1",
    }


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No process, work folder, staging folder, note of a process or lock of a run."""
    yield
    assert leftovers(tmp_path) == []


def leftovers(folder: Path) -> list[str]:
    """What a run may not leave: folders and locks by path, processes by pid."""
    patterns = ("home/cache/work/*", ".cvl-staging-*", "home/state/processes/*",
                "home/state/locks/run/*.lock")  # fmt: skip
    paths = [str(path) for pattern in patterns for path in folder.glob(pattern)]
    return [*paths, *(str(pid) for pid in processes_of(folder) if alive(pid))]


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line or environment names the test's own folder."""
    wanted = f"CVL_CONTROL={folder}/home/".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def begin(environment: dict[str, str], folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cvl", "run", *words], env=environment, cwd=folder, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
