"""cvl shell: where a step ran, in a real container."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import envelope_of
from tests.cli.terminals import on_terminal
from tests.conftest import STUBS, Cvl
from tests.support.engine import Engine

pytestmark = pytest.mark.docker
CANARY = "canary-51ab0c"
LOOK = r"""
id -u; id -g
cat /cvl/inputs/file.txt
touch /cvl/inputs/x /app/x /x 2>/dev/null && echo wrote
touch /cvl/out/x /cvl/scratch/x /tmp/x && echo may write
ls /sys/class/net
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
grep -E '^Max (file size|core)' /proc/self/limits | tr -s ' ' | cut -d ' ' -f 4,5
cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.limit_in_bytes 2>/dev/null || true
env | grep -c STUB_SECRET
"""


def own_stub(tmp_path: Path) -> Path:
    """The stub with code that no image was built of."""
    own = tmp_path / "examples" / "stub"
    shutil.copytree(STUBS / "stub", own)
    with (own / "acts.py").open("a") as stream:
        stream.write(f"# {tmp_path}\n")
    return own


def failed_run(cvl: Cvl, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given\n")
    words = ("run", "stub", "predict", "--act", "raise_error", "--file", "given.txt")
    assert cvl(*words, env={"STUB_SECRET": CANARY}).returncode == 1


def test_it_is_what_the_failed_step_had_and_no_more(cvl: Cvl, tmp_path: Path) -> None:
    failed_run(cvl, tmp_path)
    result = cvl("shell", "last", "--command", LOOK, env={"STUB_SECRET": CANARY})
    said = result.stdout.splitlines()
    assert said[:3] == [str(os.getuid()), str(os.getgid()), "given"]
    assert said[3:5] == ["may write", "lo"]
    assert said[5:8] == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    assert any("50000000" in line for line in said[8:10])
    assert (result.returncode, said[-1]) == (1, "0")  # grep found no secret
    for path in (tmp_path / "home").rglob("*.json"):
        assert CANARY not in path.read_text()


def test_the_step_can_be_run_again_in_there(cvl: Cvl, tmp_path: Path) -> None:
    failed_run(cvl, tmp_path)
    line = "python predict.py < /cvl/scratch/request.json"
    result = cvl("shell", "last", "-c", line)
    assert (result.returncode, "RuntimeError: the model is broken" in result.stdout) == (1, True)
    assert cvl("run", "stub", "predict", "--seed", "7").returncode == 0
    result = cvl("shell", "last", "-c", f"{line} && cat /cvl/out/result.txt", "--json")
    data = envelope_of(result, "shell")["data"]
    assert (data["output"], data["step"], data["status"]) == ("ok 7\n", "stub", 0)
    told = envelope_of(cvl("shell", "last", "-c", "echo no; exit 9", "--json"), "shell", 9)
    assert (told["data"]["output"], told["error"]["code"]) == ("no\n", "command_failed")


def test_a_step_of_a_pipeline_has_what_earlier_ones_made(cvl: Cvl, tmp_path: Path) -> None:
    assert cvl("run", "twostep", "predict", "-o", "out.txt", "--seed", "3").returncode == 0
    run = json.loads(cvl("ps", "-a", "--json").stdout)["data"]["runs"][0]["id"]
    result = cvl("shell", run[:-2], "-c", "cat /cvl/inputs/file.txt")
    assert (result.returncode, result.stdout) == (0, "ok 3\n")
    assert cvl("shell", run, "--step", "first", "-c", "ls /cvl/inputs").stdout == ""
    wrong = cvl("shell", run, "--step", "frist", "-c", "ls")
    assert wrong.stderr.splitlines()[-1] == "hint: did you mean first?"


def test_the_image_is_that_of_the_run_though_the_example_changed(
    cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    shutil.copytree(STUBS / "stub", tmp_path / "examples" / "stub")
    here = {"CVL_EXAMPLES": str(tmp_path / "examples")}
    assert cvl("run", "stub", "predict", env=here).returncode == 0
    with (tmp_path / "examples" / "stub" / "acts.py").open("a") as stream:
        stream.write("# changed\n")
    line = "tail -n 1 acts.py"
    before = cvl("shell", "last", "-c", line, env=here)
    assert (before.stderr, "# changed" in before.stdout) == ("", False)


def test_without_that_image_it_is_built_of_the_code_as_it_is_now(
    cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    own = own_stub(tmp_path)
    here = {"CVL_EXAMPLES": str(own.parent)}
    built = cvl("run", "stub", "build", "--json", env=here)
    image = json.loads(built.stdout)["data"]["images"][0]["tag"]
    assert cvl("run", "stub", "predict", env=here).returncode == 0
    engine.docker("rmi", image)
    with (own / "acts.py").open("a") as stream:
        stream.write("# changed\n")
    result = cvl("shell", "last", "-c", "tail -n 1 acts.py", env=here)
    assert result.stdout == "# changed\n"
    assert "the image of this run is gone and stub has changed" in result.stderr


@contextmanager
def visiting(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell that has begun to sleep."""
    command = [sys.executable, "-m", "cvl", "shell", "last", "-c", "echo here; sleep 600"]
    process = subprocess.Popen(
        command,
        env={"CVL_EXAMPLES": str(STUBS), **environment},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def shells(engine: Engine) -> list[str]:
    return engine.docker("ps", "-aq", "--filter", "name=cvl-shell-").split()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_and_removes_the_container(
    cvl: Cvl, engine_env: dict[str, str], tmp_path: Path, signum: int
) -> None:
    assert cvl("run", "stub", "predict").returncode == 0
    with visiting(engine_env, tmp_path) as process:
        process.send_signal(signum)
        assert process.wait(timeout=30) == 128 + signum


def test_one_that_was_killed_is_reaped_by_the_next_run_and_a_living_one_is_not(
    cvl: Cvl, engine: Engine, engine_env: dict[str, str], tmp_path: Path
) -> None:
    assert cvl("run", "stub", "predict").returncode == 0
    before = set(shells(engine))
    with visiting(engine_env, tmp_path) as process:
        (container,) = set(shells(engine)) - before
        assert cvl("run", "stub", "predict", "--no-cache", "--overwrite").returncode == 0
        assert container in shells(engine)
        process.kill()
        process.wait()
        assert cvl("run", "stub", "predict", "--no-cache", "--overwrite").returncode == 0
        assert container not in shells(engine)


def test_on_a_terminal_it_is_a_shell_that_a_person_uses(
    cvl: Cvl, engine_env: dict[str, str], tmp_path: Path
) -> None:
    failed_run(cvl, tmp_path)
    status, screen = on_terminal(
        [sys.executable, "-m", "cvl", "shell", "last"],
        {"CVL_EXAMPLES": str(STUBS), "TERM": "xterm", **engine_env},
        tmp_path,
        answer="tty && cat /cvl/inputs/file.txt; exit 7\r",
        wait_for="/app$" if os.getuid() else "/app#",
    )
    assert status == 7, screen
    assert "/dev/pts/0" in screen and "given" in screen
    assert "to run it again in there: python predict.py < /cvl/scratch/request.json" in screen


def test_without_a_terminal_it_asks_for_a_command(cvl: Cvl, tmp_path: Path) -> None:
    result = cvl("shell", "last", stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: a shell needs a terminal",
        "hint: --command 'ls -l /cvl/inputs'",
    ]
    none = cvl("shell", "last", "-c", "ls")
    assert none.stderr == "error: there are no runs yet\n"


def test_the_code_of_an_example_that_is_not_trusted_is_not_built_for_a_shell(
    cvl: Cvl, engine: Engine, tmp_path: Path
) -> None:
    own = own_stub(tmp_path)
    here = {"CVL_EXAMPLES": ""}
    built = cvl("run", "stub", "build", "--trust", "--json", env=here)
    assert cvl("run", "stub", "predict", env=here).returncode == 0
    engine.docker("rmi", json.loads(built.stdout)["data"]["images"][0]["tag"])
    with (own / "acts.py").open("a") as stream:
        stream.write("# changed\n")
    result = cvl("shell", "last", "-c", "true", env=here)
    assert (result.returncode, result.stdout) == (2, "")
    assert "you have not said that you trust it" in result.stderr
