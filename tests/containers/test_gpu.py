"""GPUs without a GPU: a stand-in for NVIDIA's hook and for nvidia-smi, everything else real."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import STUBS, data_of, environment_for, run_cvl
from tests.support import engine as engines
from tests.support import images
from tests.support.engine import Engine

pytestmark = pytest.mark.docker
FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
RUN = ("run", "gpu_stub", "predict", "--no-cache", "--overwrite")


@pytest.fixture
def environment(private_engine: Engine, tmp_path: Path) -> dict[str, str]:
    """Two GPUs, as nvidia-smi tells it."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    rows = "\n".join(
        f"{index}, {uuid}, Stand-in, 24000, 23000, 570.00, 8.9"
        for index, uuid in enumerate((FIRST, SECOND))
    )
    tool.write_text(f"#!/bin/sh\ncat <<'E'\n{rows}\nE\n")
    tool.chmod(0o755)
    found = environment_for(private_engine, tmp_path / "home")
    return {**found, "PATH": f"{tool.parent}:{found['PATH']}"}


def _result(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_the_leased_gpu_and_no_other_reaches_the_container(
    environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    assert private_engine.folder is not None
    for spec, expected in (("1", FIRST), ("device=1", SECOND), (SECOND, SECOND), ("all", None)):
        result = run_cvl(environment, tmp_path, *RUN, "--gpus", spec)
        assert result.returncode == 0, result.stderr
        found = _result(tmp_path / "gpu.json")
        wanted = expected or f"{FIRST},{SECOND}"
        assert (found["devices"], found["device"]) == (wanted, "cuda")
        hook = (private_engine.folder / "hook.log").read_text().splitlines()[-1]
        assert f"NVIDIA_VISIBLE_DEVICES={wanted}" in json.loads(hook)["devices"]


def test_without_a_lease_the_container_gets_none(
    environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    assert private_engine.folder is not None
    log = private_engine.folder / "hook.log"
    before = log.read_text() if log.exists() else ""
    result = run_cvl(environment, tmp_path, *RUN, "--gpus", "none")
    assert result.returncode == 0, result.stderr
    found = _result(tmp_path / "gpu.json")
    assert (found["devices"], found["device"]) == ("none", "cpu")
    assert "on the CPU, as --gpus none asks" in result.stderr
    assert (log.read_text() if log.exists() else "") == before


def test_a_shell_has_a_gpu_of_its_own_where_the_step_had_one(
    environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    assert private_engine.folder is not None
    assert run_cvl(environment, tmp_path, *RUN, "--gpus", "1").returncode == 0
    look = ("shell", "last", "-c", "echo $NVIDIA_VISIBLE_DEVICES")
    assert run_cvl(environment, tmp_path, *look).stdout == f"{FIRST}\n"
    hook = (private_engine.folder / "hook.log").read_text().splitlines()[-1]
    assert f"NVIDIA_VISIBLE_DEVICES={FIRST}" in json.loads(hook)["devices"]
    assert run_cvl(environment, tmp_path, *look, "--gpus", "device=1").stdout == f"{SECOND}\n"
    assert run_cvl(environment, tmp_path, *look, "--gpus", "none").stdout == "none\n"


def test_two_jobs_never_hold_one_gpu_at_a_time(
    environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    """Six runs on two GPUs, from two CVL_HOMEs: on each GPU their times do not overlap."""
    assert run_cvl(environment, tmp_path, "run", "gpu_stub", "build").returncode == 0
    processes = []
    for number in range(6):
        home = str(tmp_path / "home" / str(number % 2))
        arguments = [*RUN, "--seconds", "0.3", "--seed", str(number), "-o", f"{number}.json"]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "cvl", *arguments],
                env={**environment, "CVL_EXAMPLES": str(STUBS), "CVL_HOME": home},
                cwd=tmp_path,
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )
        )
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    times: dict[str, list[tuple[float, float]]] = {FIRST: [], SECOND: []}
    for number in range(6):
        found = json.loads((tmp_path / f"{number}.json").read_text())
        times[found["devices"]].append((found["began"], found["ended"]))
    for spans in times.values():
        spans.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert sum(len(spans) for spans in times.values()) == 6


def test_a_missing_gpu_is_an_error_before_anything_is_built(
    private_engine: Engine, tmp_path: Path
) -> None:
    """No silent fallback to the CPU: exit 3, and what to do about it."""
    environment = environment_for(private_engine, tmp_path / "home")
    result = run_cvl(environment, tmp_path, *RUN)
    assert result.returncode == 3
    assert "no NVIDIA GPU" in result.stderr and "--gpus none" in result.stderr
    assert not (tmp_path / "gpu.json").exists()


def test_an_engine_without_the_nvidia_hook_is_told_apart_from_a_broken_program(
    engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    bare = engines.start(tmp_path / "bare", namespace=True, hook=False)
    try:
        images.copy_image(engine, bare, images.PYTHON)
        result = run_cvl({**environment, "DOCKER_HOST": bare.host}, tmp_path, *RUN)
    finally:
        bare.stop()
    assert result.returncode == 3
    assert "nvidia-ctk" in result.stderr


def test_a_step_goes_down_its_ladder_after_each_kind_of_out_of_memory_and_remembers(
    environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    """On the GPU, of the container's first process, and of a child of it."""
    ladder = ("run", "ladder_stub", "predict", "--json", "--overwrite")
    result = run_cvl(environment, tmp_path, *ladder)
    step = data_of(result)["steps"]["ladder_stub"]
    assert [(a["offload"], a["error"]) for a in step["attempts"]] == [
        ("none", "device_out_of_memory"),
        ("model", "container_out_of_memory"),
        ("fp8", "container_out_of_memory"),
        ("tiles", ""),
    ]
    assert step["offload"] == "tiles"
    assert 1 << 20 < step["metrics"]["peak_rss_bytes"] < 200_000_000
    assert _result(tmp_path / "ladder.json") == {"offload": "tiles", "scratch": []}
    said = "ladder_stub ran out of GPU memory with offload none and was run again with model"
    assert data_of(result)["warnings"][0] == said
    assert said in result.stderr

    step = data_of(run_cvl(environment, tmp_path, *ladder, "--text", "ho"))["steps"]["ladder_stub"]
    assert step["attempts"] == [{"offload": "tiles", "error": ""}]

    named = run_cvl(environment, tmp_path, *ladder, "--enough", "disk", "--offload", "tiles")
    assert (named.returncode, json.loads(named.stdout)["error"]["code"]) == (5, "out_of_memory")


def test_a_dry_run_says_where_each_step_would_begin_or_why_it_cannot(
    environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    dry = ("run", "ladder_stub", "predict", "--dry-run", "--json")

    def planned(here: dict[str, str], *more: str) -> list[object]:
        (step,) = data_of(run_cvl(here, tmp_path, *dry, *more))["steps"]
        return [step[name] for name in ("device", "offload", "dtype", "missing")]

    assert planned(environment) == ["cuda", "none", "bf16", ""]
    assert planned(environment, "--offload", "fp8", "--dtype", "fp32") == [
        "cuda",
        "fp8",
        "fp32",
        "",
    ]
    bare = environment_for(private_engine, tmp_path / "home")
    device, _, _, missing = planned(bare)
    assert device is None and "no NVIDIA GPU" in str(missing)
    assert planned(bare, "--gpus", "none") == ["cpu", "none", "fp32", ""]
