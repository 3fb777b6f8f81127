"""What an example is given when downloads go wrong: the right bytes or nothing, by the command
line and in an environment on this machine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import STUBS, run_cvl
from tests.hub.conftest import FILES, WEIGHTS
from tests.support.hub import GOOD_TOKEN, Hub

RUN = ("run", "weighted", "predict", "--engine", "venv", "--trust", "--json", "-o", "seen.json")
RIGHT = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as started:
        started.push("org/tiny", FILES)
        yield started


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    dropped = ("CVL_", "DOCKER_", "HF_", "XDG_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {
        **kept,
        **hub.environment(tmp_path / "hf", GOOD_TOKEN),
        "CVL_HOME": str(tmp_path / "home"),
        "CVL_EXAMPLES": str(STUBS),
        "CVL_STALLED_S": "6",
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "UV_OFFLINE": "1",
    }


def test_wrong_bytes_reach_no_example_and_what_passes_is_not_noticed(
    hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    fault = hub.fault("org/tiny", "model.safetensors", "wrong", times=None)
    result = run_cvl(environment, tmp_path, *RUN)
    error = json.loads(result.stdout)["error"]
    assert (result.returncode, error["code"]) == (4, "wrong_bytes")
    assert error["message"].startswith("model.safetensors of org/tiny has sha ")
    assert "HF_ENDPOINT" in error["hint"]
    assert not (tmp_path / "seen.json").exists()
    fault.clear()
    hub.fault("org/tiny", "model.safetensors", "wrong")
    hub.fault("org/tiny", "config.json", "status", code=503, times=2)
    result = run_cvl(environment, tmp_path, *RUN)
    assert result.returncode == 0, result.stderr
    files = json.loads((tmp_path / "seen.json").read_text())["files"]
    assert [sha for name, sha in files.items() if name.endswith("safetensors")] == [RIGHT]
    assert "model.safetensors is not what org/tiny says it is" in result.stderr
    assert not any(r.authorization for r in hub.log() if r.host != "hub")
