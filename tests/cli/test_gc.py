"""cvl gc: what goes, and what stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import STUBS, Run, Start, envelope_of, logs_in
from tests.cli.terminals import on_terminal
from tests.conftest import environment_for, run_cvl
from tests.support.engine import Engine
from tests.support.images import PYTHON

DAY = 86400


def items(result: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Items by name; jit caches and logs have none in common."""
    return {item["name"]: item for item in envelope_of(result, "gc")["data"]["items"]}


@pytest.fixture
def old(bare: Run, start: Start, tmp_path: Path) -> Path:
    """A CVL_HOME with a run of 40 days ago, one of today, and folders nobody has a record of."""
    home = tmp_path / "home"
    for run in ("20250101-000000-aaaaaa", "20260101-000000-bbbbbb"):
        start(run, "polite")
        logs_in(home, run, stub="x" * 1000)
    bare("stop", "--all")
    long_ago = time.time() - 40 * DAY
    with contextlib.closing(sqlite3.connect(home / "state" / "cvl.db")) as db, db:
        db.execute("UPDATE runs SET ended=? WHERE id LIKE '2025%'", (long_ago,))
    for name in ("20250101-000000-cccccc", "20260101-000000-dddddd"):
        logs_in(home, name, stub="x" * 1000)
    os.utime(home / "state" / "runs" / "20250101-000000-cccccc", (long_ago, long_ago))
    return home


OLD = {"20250101-000000-aaaaaa", "20250101-000000-cccccc"}


def runs_in(home: Path) -> set[str]:
    return {path.name for path in (home / "state" / "runs").iterdir()}


def test_nothing_to_remove(bare: Run, tmp_path: Path) -> None:
    result = bare("gc", "--yes")
    assert (result.returncode, result.stdout) == (0, "")
    assert "there is nothing to remove" in result.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_refuses_without_anybody_to_ask(bare: Run, old: Path, options: list[str]) -> None:
    result = bare("gc", *options)
    assert result.returncode == 2
    assert "--dry-run" in result.stdout + result.stderr
    assert runs_in(old) >= OLD


def test_a_dry_run_removes_nothing(bare: Run, old: Path) -> None:
    before = sorted(old.rglob("*"))
    result = bare("gc", "--dry-run")
    assert result.returncode == 0
    assert {line.split()[1] for line in result.stdout.splitlines()[1:]} == OLD
    assert "would remove 2 things" in result.stderr
    assert "images and jit caches are left alone: no Docker engine answers" in result.stderr
    assert sorted(old.rglob("*")) == before


def test_old_runs_go_with_their_records(bare: Run, old: Path) -> None:
    found = items(bare("gc", "--yes", "--json"))
    assert {name for name, item in found.items() if item["removed"]} == OLD
    assert found["20250101-000000-aaaaaa"]["size"] == 1000
    assert runs_in(old) == {"20260101-000000-bbbbbb", "20260101-000000-dddddd"}
    runs = envelope_of(bare("ps", "-a", "--json"), "ps")["data"]["runs"]
    assert [run["id"] for run in runs] == ["20260101-000000-bbbbbb"]


@pytest.mark.parametrize(("answer", "gone"), [("n\n", False), ("\n", False), ("y\n", True)])
def test_asks_on_a_terminal(
    bare_env: dict[str, str], old: Path, tmp_path: Path, answer: str, gone: bool
) -> None:
    command = [sys.executable, "-m", "cvl", "gc"]
    status, screen = on_terminal(command, bare_env, tmp_path, answer=answer, wait_for="[y/N]")
    assert status == 0
    assert "20250101-000000-aaaaaa" in screen
    assert (runs_in(old) & OLD == set()) is gone
    assert ("nothing was removed" in screen) is not gone


def test_results_above_the_limit(bare: Run, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "cache" / "results" / "sha256" / "ab"
    folder.mkdir(parents=True)
    for age, name in enumerate(("a" * 64, "b" * 64, "c" * 64)):
        (folder / name).write_bytes(b"x" * 1000)
        os.utime(folder / name, (time.time() - age * DAY - 1000,) * 2)
    limit = {"CVL_RESULTS_GB": "0.0000015"}
    found = items(bare("gc", "--dry-run", "--json", env=limit))
    assert found["least recently used"]["size"] == 2000
    assert len(list(folder.iterdir())) == 3
    assert items(bare("gc", "--yes", "--json", env=limit))["least recently used"]["removed"]
    assert [path.name for path in folder.iterdir()] == ["a" * 64]
    assert items(bare("gc", "--yes", "--json")) == {}
    assert items(bare("gc", "--yes", "--json", "--results-gb", "0")).keys() == found.keys()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("option", ["--results-gb", "--superseded-gb"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_limits_that_are_none_are_refused(bare: Run, option: str, value: str) -> None:
    result = bare("gc", "--yes", option, value)
    assert result.returncode == 2
    assert "hint: give a number of GB; 0 keeps none" in result.stderr


def test_what_would_go_is_summed_up_by_kind(bare: Run, old: Path) -> None:
    work = old / "cache" / "results" / "sha256" / "ab"
    work.mkdir(parents=True)
    (work / ".part").write_bytes(b"x" * 500)
    os.utime(work / ".part", (1, 1))
    lock = old / "state" / "locks" / "step" / "x.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    os.utime(lock, (1, 1))
    said = bare("gc", "--dry-run").stderr
    assert "part: 1, up to 500 B" in said and "log: 2, up to 2.0 kB" in said
    assert "locks: 1, up to 0 B" in said and "would remove 4 things, up to 2.5 kB" in said
    assert lock.exists() and (work / ".part").exists()
    assert bare("gc", "--yes").returncode == 0
    assert not lock.exists() and not (work / ".part").exists()


def test_without_an_engine_dead_runs_stay(bare: Run, start: Start, tmp_path: Path) -> None:
    """Their containers may still write into the folders that would go."""
    start("20260101-000000-aaaaaa", "dead")
    work = tmp_path / "home" / "cache" / "work" / "20260101-000000-aaaaaa"
    work.mkdir(parents=True, exist_ok=True)
    assert items(bare("gc", "--yes", "--json")) == {}
    assert work.is_dir()


@pytest.fixture
def environment(private_engine: Engine, tmp_path: Path) -> dict[str, str]:
    found = environment_for(private_engine, tmp_path / "home")
    return {**found, "CVL_EXAMPLES": str(tmp_path / "mine"), "CVL_SUPERSEDED_GB": "0"}


@pytest.fixture
def alone(environment: dict[str, str], tmp_path: Path) -> Run:
    """cvl on an engine that nobody else uses, with a copy of the stub as its example."""
    shutil.copytree(STUBS / "stub", tmp_path / "mine" / "stub")

    def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return run_cvl(environment, tmp_path, *arguments, **more)

    return run


def build(alone: Run) -> str:
    data = envelope_of(alone("run", "stub", "build", "--json"), "run")["data"]
    tag: str = data["images"][0]["tag"]
    return tag


def edit(tmp_path: Path) -> None:
    (tmp_path / "mine" / "stub" / "added.py").write_text(f"# {time.time_ns()}\n")


@pytest.fixture
def superseded(alone: Run, tmp_path: Path) -> tuple[str, str]:
    """Tags of an image of the stub as it was, and as it is."""
    edit(tmp_path)
    before = build(alone)
    edit(tmp_path)
    return before, build(alone)


def tags(engine: Engine) -> set[str]:
    return set(engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def jit_of(tag: str) -> str:
    return f"stub-{tag.partition(':')[2]}-cpu"


@pytest.mark.docker
def test_superseded_images_and_their_kernels(
    alone: Run, superseded: tuple[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    before, now = superseded
    jit = tmp_path / "home" / "cache" / "jit"
    for name in (jit_of(before), jit_of(now), "something_else"):
        (jit / name).mkdir(parents=True)
    assert items(alone("gc", "--dry-run", "--json")).keys() == {before, jit_of(before)}
    assert before in tags(private_engine)
    found = items(alone("gc", "--yes", "--json"))
    assert found[before]["removed"] and found[before]["size"] > 0
    assert before not in tags(private_engine) and now in tags(private_engine)
    assert {path.name for path in jit.iterdir()} == {jit_of(now), "something_else"}
    private_engine.docker("rmi", now)


@pytest.mark.docker
def test_superseded_images_go_least_recently_used_first_and_their_results_stay(
    alone: Run, private_engine: Engine, tmp_path: Path
) -> None:
    """The image that was built first is used again, so that the second is the one to go."""
    code = tmp_path / "mine" / "stub" / "added.py"

    def use(text: str, *more: str) -> dict[str, Any]:
        code.write_text(text)
        predict = ("run", "stub", "predict", "--seed", "1", "--overwrite", "--json", *more)
        step: dict[str, Any] = envelope_of(alone(*predict), "run")["data"]["steps"]["stub"]
        return step

    made: list[str] = []
    for text in ("one = 1", "two = 2", "one = 1", "now = 3"):
        before = tags(private_engine)
        assert not use(text, "--no-cache")["cached"]
        made += tags(private_engine) - before
    one, two, now = made
    size = int(private_engine.docker("inspect", "--format", "{{.Size}}", one))
    room = ("--superseded-gb", str(1.5 * size / 1e9))
    result = alone("gc", "--yes", "--json", *room)
    assert [item["name"] for item in items(result).values() if item["kind"] == "image"] == [two]
    assert "1 superseded images or environments" in " ".join(
        envelope_of(result, "gc")["data"]["notes"]
    )
    assert {one, now} <= tags(private_engine) and two not in tags(private_engine)
    assert items(alone("gc", "--yes", "--json"))[one]["removed"]
    assert {tag for tag in tags(private_engine) if tag.startswith("cvl/")} == {now}
    for text in ("two = 2", "one = 1"):
        assert use(text)["cached"]
    assert not use("two = 3")["cached"]
    for tag in tags(private_engine):
        if tag.startswith("cvl/"):
            private_engine.docker("rmi", tag)


@pytest.mark.docker
def test_images_of_others_stay(
    alone: Run, superseded: tuple[str, str], private_engine: Engine
) -> None:
    """Built upon one of ours (it inherits our labels), another name for one, one that only carries
    the labels, and one of an example that is not within reach."""
    before, now = superseded
    upon, named, labelled, away = "mine/upon:1", "mine/named:1", "mine/labelled:1", f"{PYTHON}:1"
    make_image(private_engine, before, upon)
    private_engine.docker("tag", before, named)
    fake = {"org.cvl.example": "stub", "org.cvl.context": "f" * 64}
    make_image(private_engine, PYTHON, labelled, fake)
    make_image(private_engine, PYTHON, away, {**fake, "org.cvl.example": "unheard_of"})
    private_engine.docker("tag", away, f"cvl/unheard_of:{'f' * 20}")
    result = alone("gc", "--yes", "--json")
    assert items(result).keys() == {before}
    assert "unheard_of" in " ".join(envelope_of(result, "gc")["data"]["notes"])
    others = {upon, named, labelled, away, f"cvl/unheard_of:{'f' * 20}", now}
    assert others <= tags(private_engine) and before not in tags(private_engine)
    private_engine.docker("rmi", *others)


def make_image(engine: Engine, base: str, tag: str, labels: dict[str, str] | None = None) -> None:
    container = engine.docker("create", base, "true")
    changes = [f"--change=LABEL {name}={value}" for name, value in (labels or {}).items()]
    engine.docker("commit", *changes, container, tag)
    engine.docker("rm", container)


@pytest.mark.docker
def test_an_image_in_use_stays(
    alone: Run, superseded: tuple[str, str], private_engine: Engine
) -> None:
    before, now = superseded
    container = private_engine.docker("create", before, "true")
    result = alone("gc", "--yes")
    assert result.returncode == 0
    assert f"not removed: image {before}: {before} is in use" in result.stderr
    assert before in tags(private_engine)
    private_engine.docker("rm", container)
    private_engine.docker("rmi", before, now)


@pytest.mark.docker
def test_images_of_a_broken_example_stay(
    alone: Run, superseded: tuple[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "stub" / "example.yaml").write_text("name: stub\n")
    assert items(alone("gc", "--yes", "--json")) == {}
    assert set(superseded) <= tags(private_engine)
    private_engine.docker("rmi", *superseded)


@pytest.mark.docker
def test_what_a_killed_run_left(
    alone: Run, environment: dict[str, str], private_engine: Engine, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cvl", "run", "stub", "predict", "--act", "sleep", "--amount", "60"],
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    container = wait_for(lambda: private_engine.docker("ps", "--quiet", "--no-trunc"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    kinds = [item["kind"] for item in items(alone("gc", "--dry-run", "--json")).values()]
    assert sorted(kinds) == ["container", "run"]
    found = items(alone("gc", "--yes", "--json"))
    assert found[container[:12]]["removed"]
    assert private_engine.docker("ps", "--all", "--quiet") == ""
    assert items(alone("gc", "--yes", "--json")) == {}
    for tag in tags(private_engine):
        if tag.startswith("cvl/"):
            private_engine.docker("rmi", tag)


def wait_for(ask: Callable[[], str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError("it did not happen")
