"""A container keeps its weights, also when its cvl is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STUBS, Cvl
from tests.support.engine import Engine
from tests.support.hub import Hub, tiny

pytestmark = pytest.mark.docker
WEIGHTS = tiny.weights(5000)


@pytest.fixture
def at_hub(tmp_path: Path) -> Iterator[dict[str, str]]:
    with Hub(tmp_path / "served") as hub:
        hub.push("org/tiny", {"config.json": b"{}", "model.safetensors": WEIGHTS})
        yield hub.environment(tmp_path / "hf")


def removed(cvl: Cvl, at_hub: dict[str, str]) -> Any:
    """The one item of `models rm weighted`."""
    result = cvl("models", "rm", "weighted", "--yes", "--json", env=at_hub)
    (item,) = json.loads(result.stdout)["data"]["items"]
    return item


def test_while_it_runs_after_its_cvl_was_killed_and_once_it_is_gone(
    cvl: Cvl,
    engine_env: dict[str, str],
    at_hub: dict[str, str],
    engine: Engine,
    tmp_path: Path,
) -> None:
    environment = {**engine_env, **at_hub, "CVL_EXAMPLES": str(STUBS)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cvl", "run", "weighted", "predict", "--act", "wait"],
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    home_id = tmp_path / "home" / "state" / "id"
    container = ""
    deadline = time.monotonic() + 100
    while not container and time.monotonic() < deadline and process.poll() is None:
        if home_id.exists():
            mine = f"label=org.cvl.owner.home={home_id.read_text()}"
            container = engine.docker("ps", "--quiet", "--filter", mine)
        time.sleep(0.1)
    assert container, process.poll()
    assert removed(cvl, at_hub)["note"] == f"in use by process {process.pid}"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert removed(cvl, at_hub)["note"].startswith("in use by run 20")
    (blob,) = (tmp_path / "hf" / "hub" / "models--org--tiny" / "blobs").glob("?" * 64)
    assert blob.read_bytes() == WEIGHTS
    assert cvl("gc", "--yes").returncode == 0
    assert removed(cvl, at_hub)["removed"]
    assert not blob.exists()
