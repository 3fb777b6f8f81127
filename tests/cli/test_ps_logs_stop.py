"""cvl ps, logs and stop: without an engine on records alone, and on runs that are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import STUBS, Run, Start, envelope_of, logs_in


def states(bare: Run, *options: str) -> dict[str, str]:
    envelope = envelope_of(bare("ps", "--json", *options), "ps")
    return {run["id"]: run["state"] for run in envelope["data"]["runs"]}


@pytest.mark.parametrize("command", [["ps"], ["ps", "-a"], ["stop", "--all"]])
def test_nothing_yet(bare: Run, tmp_path: Path, command: list[str]) -> None:
    result = bare(*command)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.strip() in ("nothing is running", "no runs")
    assert not (tmp_path / "home").exists()


def test_ps_shows_what_runs(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "polite")
    result = bare("ps")
    heading, row = result.stdout.splitlines()
    assert heading.split() == ["ID", "EXAMPLE", "VERB", "STATE", "AGE", "EXIT", "CONTAINER"]
    assert row.split()[:4] == ["20260101-000000-aaaaaa", "stub", "predict", "running"]
    assert row.split()[-1] == "?"
    assert "containers are not shown: no Docker engine answers" in result.stderr


def test_ps_shows_a_dead_run_as_interrupted(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "dead")
    assert states(bare) == {"20260101-000000-aaaaaa": "interrupted"}


def test_ps_all_shows_what_ran(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "polite")
    bare("stop", "last")
    assert states(bare) == {}
    assert states(bare, "--all") == {"20260101-000000-aaaaaa": "cancelled"}
    assert "143" in bare("ps", "-a").stdout


def test_stop_waits_for_the_end(bare: Run, start: Start) -> None:
    process = start("20260101-000000-aaaaaa", "polite")
    envelope = envelope_of(bare("stop", "20260101", "--json"), "stop")
    assert envelope["data"]["runs"] == [
        {"run": "20260101-000000-aaaaaa", "outcome": "stopped", "state": "cancelled"}
    ]
    assert process.wait(timeout=5) == 0


def test_stop_all(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "polite")
    start("20260101-000000-bbbbbb", "polite")
    result = bare("stop", "--all")
    assert result.returncode == 0
    assert sorted(result.stdout.split()) == ["20260101-000000-aaaaaa", "20260101-000000-bbbbbb"]


def test_stop_gives_up_after_a_while(bare: Run, start: Start) -> None:
    process = start("20260101-000000-aaaaaa", "deaf")
    result = bare("stop", "last", "--timeout", "0.5", "--json")
    envelope = envelope_of(result, "stop", 7)
    assert envelope["data"]["runs"][0]["outcome"] == "still_running"
    assert process.poll() is None


def test_stop_now_asks_twice(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "stubborn")
    assert bare("stop", "last", "--timeout", "1").returncode == 7
    start("20260101-000000-bbbbbb", "stubborn")
    assert bare("stop", "20260101-000000-b", "--now").returncode == 0


@pytest.mark.parametrize("manner", ["dead", "rude"])
def test_stop_of_the_dead_needs_the_engine_to_clean_up(
    bare: Run, start: Start, manner: str
) -> None:
    start("20260101-000000-aaaaaa", manner)
    result = bare("stop", "last")
    assert result.returncode == 3
    assert "no Docker engine answers" in result.stderr


def test_stop_of_what_has_ended(bare: Run, start: Start) -> None:
    start("20260101-000000-aaaaaa", "polite")
    bare("stop", "last")
    result = bare("stop", "last")
    assert result.returncode == 0 and "had ended before" in result.stderr


@pytest.mark.parametrize(
    ("field", "value"), [("uid", "4242"), ("boot", "another"), ("pidns", "1"), ("home", "another")]
)
def test_stop_never_signals_what_it_may_not_judge(
    bare: Run, start: Start, tmp_path: Path, field: str, value: str
) -> None:
    process = start("20260101-000000-aaaaaa", "rude")
    change_owner(tmp_path, **{field: value})
    result = bare("stop", "last", "--json")
    assert envelope_of(result, "stop", 3)["data"]["runs"][0]["outcome"] == "not_ours"
    assert process.poll() is None


def test_stop_never_signals_another_process_of_the_same_pid(
    bare: Run, start: Start, tmp_path: Path
) -> None:
    process = start("20260101-000000-aaaaaa", "rude")
    change_owner(tmp_path, start="1")
    bare("stop", "last")
    assert process.poll() is None


def change_owner(tmp_path: Path, /, **fields: str) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "home" / "state" / "cvl.db") as db:
        owner = json.loads(db.execute("SELECT owner FROM runs").fetchone()[0])
        db.execute("UPDATE runs SET owner=?", (json.dumps({**owner, **fields}),))


@pytest.mark.parametrize("command", ["logs", "stop"])
@pytest.mark.parametrize(
    ("word", "code", "hint"),
    [
        ("20260101-000000-aaaab", "unknown_run", "did you mean 20260101-000000-aaaaaa?"),
        ("lst", "unknown_run", "did you mean last?"),
        ("x", "unknown_run", "cvl ps --all shows them"),
        ("2026", "ambiguous_run", "choose from: "),
    ],
)
def test_the_nearest_run(
    bare: Run, start: Start, command: str, word: str, code: str, hint: str
) -> None:
    start("20260101-000000-aaaaaa", "polite")
    start("20260101-000000-zzzzzz", "polite")
    error = envelope_of(bare(command, word, "--json"), command, 2)["error"]
    assert error["code"] == code and error["hint"].startswith(hint)


def test_stop_needs_to_know_which(bare: Run) -> None:
    for arguments in ([], ["x", "--all"]):
        assert (
            envelope_of(bare("stop", *arguments, "--json"), "stop", 2)["error"]["code"] == "usage"
        )


RUN = "20260101-000000-aaaaaa"


def test_logs_are_made_harmless(bare: Run, start: Start, tmp_path: Path) -> None:
    start(RUN, "polite")
    text = b"plain\n\x1b[31mred\x1b[0m \x1b]0;title\x07\n\n10%\r20%\r\n\xff\x00\xe2\x80\xaeend"
    logs_in(tmp_path / "home", RUN, stub=text)
    result = bare("logs", "last")
    assert result.stdout.splitlines() == ["plain", "red ", "", "10%", "20%", "\ufffd??end"]


def test_logs_of_steps(bare: Run, start: Start, tmp_path: Path) -> None:
    start(RUN, "polite")
    logs_in(tmp_path / "home", RUN, first="1\n", second="2\n", second__old="old\n")
    assert bare("logs", RUN).stdout == "first | 1\nsecond | old\nsecond | 2\n"
    assert bare("logs", RUN, "second").stdout == "old\n2\n"
    result = bare("logs", RUN, "secnd")
    assert result.returncode == 2 and "did you mean second?" in result.stderr


def test_logs_as_json(bare: Run, start: Start, tmp_path: Path) -> None:
    start(RUN, "polite")
    logs_in(tmp_path / "home", RUN, first="x" * (3 << 20), second__old="old\n", second="new\n")
    data = envelope_of(bare("logs", "last", "--json"), "logs")["data"]
    logs = {log["step"]: log for log in data["logs"]}
    assert (len(logs["first"]["text"]), logs["first"]["whole"]) == (1 << 20, False)
    assert (logs["second"]["text"], logs["second"]["whole"]) == ("old\nnew\n", True)
    assert bare("logs", "last", "-f", "--json").returncode == 2


def test_a_huge_log_takes_no_more_memory_than_a_small_one(
    bare_env: dict[str, str], start: Start, tmp_path: Path
) -> None:
    start(RUN, "polite")
    logs_in(tmp_path / "home", RUN, stub="small\n")
    small = _peak_of_logs(bare_env, tmp_path / "shown")
    log = tmp_path / "home" / "state" / "runs" / RUN / "stub.log"
    with log.open("r+b") as stream:
        stream.truncate(80 << 20)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nthe end")
    assert _peak_of_logs(bare_env, tmp_path / "shown") - small < 40 << 10
    with (tmp_path / "shown").open("rb") as shown:
        shown.seek(-8, os.SEEK_END)
        assert shown.read() == b"the end\n"


def _peak_of_logs(environment: dict[str, str], shown: Path) -> int:
    """Largest memory of `cvl logs last` in KiB; what it printed is in `shown`."""
    code = (
        "import resource, sys; from cvl.cli.app import run_app; run_app(['logs', 'last']);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    with shown.open("w") as stream:
        result = subprocess.run(
            command, env=environment, stdout=stream, stderr=subprocess.PIPE, text=True, check=True
        )
    return int(result.stderr.split()[-1])


def test_follow_until_the_end(
    bare: Run, bare_env: dict[str, str], start: Start, tmp_path: Path
) -> None:
    """Through a step that begins later, and through a log whose older half is set aside."""
    start(RUN, "polite")
    folder = tmp_path / "home" / "state" / "runs" / RUN
    logs_in(tmp_path / "home", RUN, one="a\n")
    with subprocess.Popen(
        [sys.executable, "-m", "cvl", "logs", RUN, "-f"],
        env=bare_env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as following:  # fmt: skip
        assert following.stdout is not None and following.stderr is not None
        assert following.stdout.readline() == "one | a\n"
        logs_in(tmp_path / "home", RUN, two="b\n")
        assert following.stdout.readline() == "two | b\n"
        with (folder / "one.log").open("a") as stream:
            stream.write("c\nhalf of ")
        assert following.stdout.readline() == "one | c\n"
        (folder / "one.log").rename(folder / "one.log.old")
        logs_in(tmp_path / "home", RUN, one="a line\nlast")
        assert following.stdout.readline() == "one | half of a line\n"
        assert following.poll() is None
        assert bare("stop", RUN).returncode == 0
        assert following.stdout.read() == "one | last\n"
        assert following.stderr.read() == f"{RUN}: cancelled\n"
        assert following.wait(timeout=10) == 0


def test_follow_ends_with_a_dead_owner(bare: Run, start: Start, tmp_path: Path) -> None:
    start(RUN, "dead")
    logs_in(tmp_path / "home", RUN, stub="last words\n")
    assert bare("logs", "last", "-f").stdout == "last words\n"


@pytest.fixture
def real(engine_env: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Start `cvl run stub predict` on the engine, and wait until its container runs."""

    def begin(*arguments: str) -> subprocess.Popen[str]:
        environment = {**engine_env, "CVL_EXAMPLES": str(STUBS)}
        command = [sys.executable, "-m", "cvl", "run", "stub", "predict", *arguments]
        return subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    return begin


def wait_for_container(cvl: Run) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs: list[dict[str, Any]] = envelope_of(cvl("ps", "--json"), "ps")["data"]["runs"]
        if runs and runs[0]["container"] == "running":
            return runs[0]
        time.sleep(0.2)
    raise AssertionError("no container came up")


@pytest.mark.docker
def test_stop_of_a_real_run(cvl: Run, real: Callable[..., Any]) -> None:
    process = real("--act", "sleep", "--amount", "60")
    wait_for_container(cvl)
    began = time.monotonic()
    result = cvl("stop", "last")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < 25
    assert process.wait(timeout=10) == 143
    process.communicate()
    runs = envelope_of(cvl("ps", "-a", "--json"), "ps")["data"]["runs"]
    assert (runs[0]["state"], runs[0]["exit"], runs[0]["container"]) == ("cancelled", 143, "none")


@pytest.mark.docker
def test_stop_now_of_a_deaf_run(cvl: Run, real: Callable[..., Any]) -> None:
    process = real("--act", "deaf", "--amount", "60")
    wait_for_container(cvl)
    began = time.monotonic()
    assert cvl("stop", "last", "--now").returncode == 0
    assert time.monotonic() - began < 8
    assert process.wait(timeout=10) == 143
    process.communicate()


@pytest.mark.docker
def test_ps_cleans_up_after_a_killed_run(cvl: Run, real: Callable[..., Any]) -> None:
    process = real("--act", "sleep", "--amount", "60")
    run = wait_for_container(cvl)
    os.kill(run["pid"], signal.SIGKILL)
    process.communicate()
    result = cvl("ps")
    assert "interrupted" in result.stdout and "running" in result.stdout
    assert "cleaned up after 1 run" in result.stderr
    assert cvl("ps").stdout == ""
    assert "interrupted" in cvl("ps", "--all").stdout


@pytest.mark.docker
def test_logs_of_a_real_pipeline(cvl: Run) -> None:
    assert cvl("run", "twostep", "predict", "--act", "raise_error").returncode == 1
    result = cvl("logs", "last")
    assert result.stdout.startswith("first | ")
    assert "the model is broken" in result.stdout
    data = envelope_of(cvl("logs", "last", "first", "--json"), "logs")["data"]
    assert (data["example"], data["state"]) == ("twostep", "failed")
    assert "the model is broken" in data["logs"][0]["text"]
