"""The venv engine on full disks: where environments are made, where a step writes, and where its
supervisor writes down how it ended."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from tests.conftest import data_of, run_cvl
from tests.support.disks import FULL, SLACK, levels, small_disk
from tests.support.venvs import eventually, write_example, write_wheel
from tests.venv.conftest import begin, leftovers

MIB = 1 << 20
RUN = ("run", "acts", "predict", "--engine", "venv", "--overwrite", "--no-cache", "--json")
FILL_SCRATCH = (
    "import os\n"
    "        with open(os.path.join(ctx.scratch, 'large'), 'wb') as stream:\n"
    "            for _ in range(4): stream.write(bytes(1 << 20))"
)


def _large_wheel(folder: Path) -> str:
    """A wheel that takes 4 MiB when it is installed."""
    write_wheel(folder)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.writestr("cvl_test_wheel_data.bin", os.urandom(4 * MIB))
    import hashlib

    return f"cvl-test-wheel==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def test_an_environment_that_does_not_fit_is_not_left_half_made(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lock = _large_wheel(tmp_path / "wheels")
    write_example(tmp_path / "mine" / "acts", lock=lock)
    with small_disk(tmp_path / "home" / "cache" / "envs", 16) as disk:
        for left in levels(4 * MIB):
            disk.fill(left)
            before = disk.used
            result = run_cvl(environment, tmp_path, *RUN)
            assert result.returncode == 8, (left, result.stdout, result.stderr)
            error = json.loads(result.stdout)["error"]
            assert f"the disk at {disk.mount} is full" in error["message"]
            assert abs(disk.used - before) < SLACK
            assert [p for p in disk.mount.iterdir() if p.is_dir()] == []
            assert leftovers(tmp_path) == []
            if FULL:
                disk.clear()
                data_of(run_cvl(environment, tmp_path, *RUN))
                data_of(run_cvl(environment, tmp_path, "gc", "--yes", "--json"))
                for made in disk.mount.iterdir():
                    os.system(f"rm -rf {made}")
        disk.clear()
        data_of(run_cvl(environment, tmp_path, *RUN))


def test_a_cache_of_uv_that_is_full_is_the_one_that_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write_example(tmp_path / "mine" / "acts", lock=_large_wheel(tmp_path / "wheels"))
    with small_disk(tmp_path / "uv", 2) as disk:
        result = run_cvl(environment, tmp_path, *RUN)
        assert result.returncode == 8, (result.stdout, result.stderr)
        assert f"the disk at {disk.mount} is full" in json.loads(result.stdout)["error"]["message"]


def test_a_step_that_fills_the_disk_is_told_as_that(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write_example(tmp_path / "mine" / "acts", act=FILL_SCRATCH)
    with small_disk(tmp_path / "home" / "cache", 8) as disk:
        data_of(run_cvl(environment, tmp_path, *RUN))
        disk.fill(2 * MIB)
        result = run_cvl(environment, tmp_path, *RUN)
        assert result.returncode == 8, (result.stdout, result.stderr)
        message = json.loads(result.stdout)["error"]["message"]
        assert message.startswith(f"the disk at {disk.mount} is full: acts failed")
        assert leftovers(tmp_path) == []


def test_how_a_step_ended_is_known_although_the_state_ran_full(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The supervisor writes it into room that was made before the step began."""
    ready, go = tmp_path / "ready", tmp_path / "go"
    wait = (
        "import os, time\n"
        f"        open({str(ready)!r}, 'w').close()\n"
        f"        while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    )
    write_example(tmp_path / "mine" / "acts", act=wait)
    with small_disk(tmp_path / "home" / "state", 4) as disk:
        run = begin(environment, tmp_path, *RUN[1:])
        eventually(ready.exists)
        disk.fill()
        go.touch()
        out, errors = run.communicate(timeout=60)
        assert run.returncode == 0, (out, errors)
        assert (tmp_path / "result.txt").read_text() == "hi"
        runs = data_of(run_cvl(environment, tmp_path, "ps", "--all", "--json"))["runs"]
        assert [run["state"] for run in runs] == ["ok"]
        assert leftovers(tmp_path) == []


def test_no_step_begins_that_could_not_be_written_down(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write_example(tmp_path / "mine" / "acts")
    with small_disk(tmp_path / "home" / "state" / "processes", 1) as disk:
        disk.fill()
        result = run_cvl(environment, tmp_path, *RUN)
        assert result.returncode == 8, (result.stdout, result.stderr)
        assert f"the disk at {disk.mount} is full" in json.loads(result.stdout)["error"]["message"]
        assert {path.name for path in disk.mount.iterdir()} == {"ballast", "ballast.rest"}
