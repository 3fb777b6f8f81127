"""`cvl run --engine venv` from end to end, without Docker and without a network."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import data_of, run_cvl
from tests.venv.conftest import begin
from tests.support.venvs import alive, eventually, write_example, write_sdist, write_wheel

READ_WHEEL = "import cvl_test_wheel; text = cvl_test_wheel.WORD"
DAEMON = (
    "import os, subprocess, sys; "
    "code = 'import os, time; os.setsid(); time.sleep(600)'; "
    "daemon = subprocess.Popen([sys.executable, '-c', code]); "
    "text = str(daemon.pid)"
)
WAIT = f"{DAEMON}; print('pid', daemon.pid, flush=True); ctx.progress(1, 2); daemon.wait()"


def logged(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("home/state/runs/*/acts.log"))


def waiting(environment: dict[str, str], tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A run whose step has started a daemon and waits; with the daemon's pid."""
    write_example(tmp_path / "mine" / "acts", act=WAIT)
    run = begin(environment, tmp_path, "acts", "predict", "--engine", "venv")
    eventually(lambda: logged(tmp_path).endswith("\n"))
    return run, int(logged(tmp_path).split()[1])


def envelope(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_without_docker_an_example_runs_in_its_locked_wheels_and_says_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lock = write_wheel(tmp_path / "wheels")
    write_example(tmp_path / "mine" / "acts", act=READ_WHEEL, lock=lock)
    result = run_cvl(environment, tmp_path, "run", "acts", "predict", "--json")
    step = data_of(result)["steps"]["acts"]
    assert step["image"].startswith("venv:")
    assert (tmp_path / "result.txt").read_text() == "from a wheel"
    assert result.stderr.count("engine: venv, because no Docker engine answers") == 1
    again = run_cvl(environment, tmp_path, "run", "acts", "predict", "--json", "--overwrite")
    assert data_of(again)["steps"]["acts"]["cached"]


def test_a_wheel_that_is_not_the_locked_one_is_refused(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lock = write_wheel(tmp_path / "wheels")
    write_example(tmp_path / "mine" / "acts", lock=lock[:-5] + "0000\n")
    result = run_cvl(environment, tmp_path, "run", "acts", "predict", "--json")
    assert envelope(result)["error"]["code"] == "build_failed"
    assert "hash" in envelope(result)["error"]["message"].lower()
    assert not (tmp_path / "result.txt").exists()


def test_what_has_no_wheel_is_built_only_for_those_who_trust_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    marker = tmp_path / "code of the package ran"
    lock = write_sdist(tmp_path / "wheels", marker)
    act = "import cvl_test_source; text = cvl_test_source.WORD"
    write_example(tmp_path / "mine" / "acts", act=act, lock=lock)
    run = ("run", "acts", "predict", "--engine", "venv", "--json")
    refused = run_cvl(environment, tmp_path, *run)
    assert (refused.returncode, envelope(refused)["error"]["code"]) == (1, "no_wheel")
    assert "--trust" in envelope(refused)["error"]["hint"]
    assert not marker.exists() and not (tmp_path / "result.txt").exists()
    data_of(run_cvl(environment, tmp_path, *run, "--trust"))
    assert marker.exists()
    assert (tmp_path / "result.txt").read_text() == "built from source"


def test_eight_processes_that_need_an_absent_environment_make_it_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lock = write_wheel(tmp_path / "wheels")
    write_example(tmp_path / "mine" / "acts", act=READ_WHEEL, lock=lock)
    runs = [
        begin(environment, tmp_path, "acts", "predict", "--seed", str(n), "--output", f"{n}.txt")
        for n in range(8)
    ]
    ends = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0] * 8, ends
    assert sum("acts: build (" in err for _, err in ends) == 1
    assert {(tmp_path / f"{n}.txt").read_text() for n in range(8)} == {"from a wheel"}
    assert len(list(tmp_path.glob("home/cache/envs/acts-*"))) == 1


def test_a_run_that_is_killed_while_it_installs_is_finished_by_the_next(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lock = write_wheel(tmp_path / "wheels")
    write_example(tmp_path / "mine" / "acts", act=READ_WHEEL, lock=lock)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        online = {k: v for k, v in environment.items() if k not in ("UV_OFFLINE", "UV_FIND_LINKS")}
        killed = begin({**online, "UV_DEFAULT_INDEX": index}, tmp_path, "acts", "predict")
        connection, _ = silent.accept()  # uv asks for the wheel, and waits for ever
        assert list(tmp_path.glob("home/cache/envs/acts-*/bin/python"))
        killed.kill()
        killed.communicate(timeout=60)
        result = run_cvl(environment, tmp_path, "run", "acts", "predict", "--json")
        connection.close()
    data_of(result)
    assert (tmp_path / "result.txt").read_text() == "from a wheel"


def test_a_step_that_leaves_a_daemon_leaves_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write_example(tmp_path / "mine" / "acts", act=DAEMON)
    data_of(run_cvl(environment, tmp_path, "run", "acts", "predict", "--json"))
    assert not alive(int((tmp_path / "result.txt").read_text()))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_all_that_it_started(
    environment: dict[str, str], tmp_path: Path, signum: signal.Signals
) -> None:
    run, daemon = waiting(environment, tmp_path)
    run.send_signal(signum)
    run.communicate(timeout=60)
    assert run.returncode == 128 + signum
    assert not alive(daemon) and not (tmp_path / "result.txt").exists()


def test_a_killed_run_takes_its_step_with_it_and_the_next_cleans_up(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run, daemon = waiting(environment, tmp_path)
    run.kill()
    run.communicate(timeout=60)
    eventually(lambda: not alive(daemon))
    assert list((tmp_path / "home" / "cache" / "work").iterdir())
    write_example(tmp_path / "mine" / "calm")
    data_of(run_cvl(environment, tmp_path, "run", "calm", "predict", "--json"))


def test_a_step_that_takes_too_long_is_ended(environment: dict[str, str], tmp_path: Path) -> None:
    write_example(tmp_path / "mine" / "acts", act=WAIT)
    words = ("run", "acts", "predict", "--json", "--timeout", "1")
    result = run_cvl(environment, tmp_path, *words)
    assert (result.returncode, envelope(result)["error"]["code"]) == (7, "timed_out")


def test_memory_over_the_limit_is_an_out_of_memory(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = write_example(tmp_path / "mine" / "acts", act="bytearray(900 << 20)")
    with (folder / "example.yaml").open("a") as stream:
        stream.write("resources: {memory_limit_gb: 0.4}\n")
    result = run_cvl(environment, tmp_path, "run", "acts", "predict", "--json")
    assert (result.returncode, envelope(result)["error"]["code"]) == (5, "out_of_memory")


def test_an_example_of_the_working_folder_needs_both_words(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write_example(tmp_path / "examples" / "acts")
    for words in ([], ["--trust"], ["--engine", "venv"], ["--engine", "docker"]):
        result = run_cvl(environment, tmp_path, "run", "acts", "predict", *words)
        assert result.returncode in (2, 3) and "--trust" in result.stderr, words
        assert not list(tmp_path.glob("home/cache/envs/*"))
    both = ("run", "acts", "predict", "--engine", "venv", "--trust", "--json")
    data_of(run_cvl(environment, tmp_path, *both))


def test_gc_removes_the_environment_of_an_example_that_has_changed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = write_example(tmp_path / "mine" / "acts")
    data_of(run_cvl(environment, tmp_path, "run", "acts", "build", "--json"))
    assert data_of(run_cvl(environment, tmp_path, "gc", "--yes", "--json"))["items"] == []
    (folder / "predict.py").write_text("changed = True\n")
    usage = data_of(run_cvl(environment, tmp_path, "df", "--json"))["usage"]
    assert [row["count"] for row in usage if row["kind"] == "environments"] == [1]
    gc = ("gc", "--superseded-gb", "0", "--yes", "--json")
    (item,) = data_of(run_cvl(environment, tmp_path, *gc))["items"]
    assert (item["kind"], item["removed"]) == ("environment", True)
    assert not list(tmp_path.glob("home/cache/envs/acts-*"))


def test_a_rerun_uses_the_engine_of_then_and_makes_the_same_bytes(
    environment: dict[str, str], tmp_path: Path
) -> None:
    act = "text = str(ctx.seed)"
    write_example(tmp_path / "mine" / "acts", act=act)
    words = ("run", "acts", "predict", "--engine", "venv", "--sidecar", "--json")
    first = data_of(run_cvl(environment, tmp_path, *words))
    rerun = ("rerun", "result.txt", "--output", "again.txt", "--no-cache", "--json")
    again = run_cvl({**environment, "CVL_ENGINE": "docker"}, tmp_path, *rerun)
    assert data_of(again)["steps"]["acts"]["image"] == first["steps"]["acts"]["image"]
    assert (tmp_path / "again.txt").read_text() == str(first["seed"])


@pytest.mark.parametrize(("gpus", "expected"), [(None, "GPU-1"), ("none", ""), ("2", "GPU-1,GPU-2")])
def test_a_step_sees_the_gpus_that_are_leased_to_it_and_no_others(
    environment: dict[str, str], tmp_path: Path, gpus: str | None, expected: str
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    rows = "".join(f"{n}, GPU-{n + 1}, Stand-in, 24000, 23000, 570.00, 8.9\\n" for n in range(2))
    tool.write_text(f"#!/bin/sh\nprintf '{rows}'\n")
    tool.chmod(0o755)
    folder = write_example(
        tmp_path / "mine" / "acts",
        act="import os; text = os.environ['CUDA_VISIBLE_DEVICES'] + ' ' + ctx.device",
    )
    with (folder / "example.yaml").open("a") as stream:
        stream.write("resources: {gpu: optional}\n")
    leases = {"CVL_LEASE_DIR": str(tmp_path / "leases"), "PATH": f"{tool.parent}:/usr/bin:/bin"}
    words = ("run", "acts", "predict", "--json", *(("--gpus", gpus) if gpus else ()))
    data_of(run_cvl({**environment, **leases}, tmp_path, *words))
    device = "cuda" if expected else "cpu"
    assert (tmp_path / "result.txt").read_text() == f"{expected} {device}"


def test_a_shell_is_opened_where_a_step_ran_with_its_inputs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    act = "import os; (Path(os.environ['TMPDIR']) / 'seen').write_text(text); assert text != 'no'"
    write_example(tmp_path / "mine" / "acts", act=act)
    failed = run_cvl(environment, tmp_path, "run", "acts", "predict", "--text", "no")
    assert failed.returncode == 1
    line = (
        'python -c "import sys; print(sys.prefix)"; pwd; '
        "python predict.py < $TMPDIR/request.json > /dev/null 2>&1; cat $TMPDIR/seen; exit 5"
    )
    shell = run_cvl(environment, tmp_path, "shell", "last", "--command", line, "--json")
    assert shell.returncode == 5
    prefix, folder, seen = envelope(shell)["data"]["output"].split()
    (made,) = tmp_path.glob("home/cache/envs/acts-*")
    assert (prefix, folder, seen) == (str(made), f"{made}/app", "no")
