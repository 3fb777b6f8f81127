"""Disks that run full under a run: where its output goes, in the cache, in the state; by none, a
page, some KB, half of what is needed, almost all. Docker's own disk: test_docker_disk_full.py."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import STUBS, Cvl, data_of
from tests.support.disks import FULL, SLACK, Disk, levels, small_disk

pytestmark = pytest.mark.docker
MIB = 1 << 20
SIZE = 4 * MIB
ROOM = MIB
"""cvl takes a disk with less than this for full."""
OLD = "what was there before\n"
PREDICT = ("run", "stub", "predict", "--overwrite", "--json", "--output", "out/o.txt")
WRITE = (*PREDICT, "--act", "write", "--amount", "4", "--seed", "7")


@dataclass
class Place:
    """A CVL_HOME and a target, of which some folder is a small disk."""

    folder: Path
    cvl: Cvl

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def target(self) -> Path:
        return self.folder / "out" / "o.txt"

    @contextmanager
    def disk(self, path: Path, megabytes: int = 12, *, inodes: int = 0) -> Iterator[Disk]:
        with small_disk(path, megabytes, inodes=inodes) as disk:
            self.target.parent.mkdir(exist_ok=True)
            yield disk

    def refused(self, disk: Disk, *words: str) -> str:
        """Run it on a disk as full as it is now: exit 8, the mount named, and nothing left of it.
        Returns the message."""
        self.target.write_text(OLD) if self.target.parent != disk.mount else None
        before = disk.used
        result = self.cvl(*words)
        assert result.returncode == 8, (result.stdout, result.stderr)
        error = json.loads(result.stdout)["error"]
        assert error["code"] == "disk_full"
        assert f"the disk at {disk.mount} is full" in error["message"]
        assert f"free space on {disk.mount}, or " in error["hint"]
        assert self.target.read_text() == OLD
        assert abs(disk.used - before) < SLACK
        assert self.leftovers() == []
        self.assert_whole()
        if FULL:
            self.works(disk, *words)
        return str(error["message"])

    def leftovers(self) -> list[Path]:
        """What no run may leave; the engine is looked at when the test has ended."""
        patterns = ("cache/work/*", "state/locks/run/*", "cache/results/*/*/.*", "state/.*")
        found = [path for pattern in patterns for path in self.home.glob(pattern)]
        return [*found, *self.target.parent.glob(".cvl-*")]

    def works(self, disk: Disk, *words: str) -> None:
        """The same command, once there is room."""
        disk.clear()
        data_of(self.cvl(*words))
        self.target.write_text(OLD)

    def assert_whole(self) -> None:
        """The database is sound and every blob is what it is called."""
        database = self.home / "state" / "cvl.db"
        with closing(sqlite3.connect(database)) as db:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")  # needs no room
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for blob in (self.home / "cache" / "results" / "sha256").glob("*/*"):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


@pytest.fixture
def place(tmp_path: Path, cvl: Cvl) -> Place:
    return Place(tmp_path, cvl)


def test_an_output_that_does_not_fit_where_it_should_go_leaves_what_is_there(place: Place) -> None:
    """The result is known: the copy to its target is all that is to be done."""
    with place.disk(place.target.parent) as disk:
        data_of(place.cvl(*WRITE))
        for left in levels(SIZE):
            place.target.write_text(OLD)
            disk.fill(left)
            place.refused(disk, *WRITE)
        place.works(disk, *WRITE)


def test_no_work_is_begun_for_a_target_or_a_cache_without_room(place: Place) -> None:
    for path in (place.target.parent, place.home / "cache"):
        with place.disk(path) as disk:
            data_of(place.cvl(*PREDICT))
            place.target.write_text(OLD)
            disk.fill(ROOM - 4096)
            place.refused(disk, *PREDICT, "--no-cache")
            data_of(place.cvl(*PREDICT))


def test_inputs_that_do_not_fit_into_the_cache_are_told(place: Place) -> None:
    given = place.folder / "given"
    given.write_bytes(bytes(SIZE))
    words = (*PREDICT, "--act", "copy", "--file", str(given), "--no-cache")
    with place.disk(place.home / "cache", 16) as disk:
        data_of(place.cvl(*words))
        for left in levels(SIZE):
            disk.fill(left)
            place.refused(disk, *words)
        place.works(disk, *words)


@pytest.mark.parametrize("act", ["write", "write_regardless", "write_scratch"])
def test_a_program_that_fills_the_disk_is_told_as_that_whatever_it_makes_of_it(
    act: str, place: Place
) -> None:
    words = (*PREDICT, "--no-cache", "--act", act, "--amount", "4")
    with place.disk(place.home / "cache") as disk:
        data_of(place.cvl(*words))
        chosen = levels(SIZE - ROOM - (64 << 10), start=ROOM + (64 << 10))
        for left in chosen if FULL or act == "write" else [chosen[3]]:
            disk.fill(left)
            assert "stub" in place.refused(disk, *words)
        place.works(disk, *words)


def test_a_program_that_fills_its_own_tmp_is_told_so_and_no_disk_is_blamed(cvl: Cvl) -> None:
    words = ("run", "stub", "predict", "--act", "write_tmp", "--amount", "100", "--json")
    result = cvl(*words)
    error = json.loads(result.stdout)["error"]
    assert (result.returncode, error["code"]) == (1, "no_space")
    assert error["message"] == (
        "stub found no space left in /tmp (/tmp holds 0.1 GB at most);"
        " the disks of this machine have room"
    )
    assert "ctx.scratch" in error["hint"]


def test_a_result_that_cannot_be_kept_takes_no_room_and_is_made_again(place: Place) -> None:
    words = (*WRITE, "--no-cache")
    with place.disk(place.home / "cache" / "results") as disk:
        data_of(place.cvl(*PREDICT))
        for left in levels(SIZE):
            disk.fill(left)
            place.refused(disk, *words)
        place.works(disk, *words)


def test_no_run_begins_that_could_not_be_written_down(place: Place) -> None:
    """There is room for less than what a run may have to write down at its end."""
    with place.disk(place.home / "state") as disk:
        data_of(place.cvl(*PREDICT))
        reserve = place.home / "state" / "cvl.db.reserve"
        for left in levels(reserve.stat().st_size - 4096):
            reserve.unlink(missing_ok=True)
            disk.fill(left)
            place.refused(disk, *PREDICT, "--no-cache")
        runs = data_of(place.cvl("ps", "--all", "--json"))["runs"]
        assert len([run for run in runs if run["state"] != "ok"]) == 0
        place.works(disk, *PREDICT, "--no-cache")


def test_a_home_on_a_full_disk_is_told_before_anything_is_made(place: Place) -> None:
    with place.disk(place.home / "state", 1) as disk:
        disk.fill()
        result = place.cvl(*PREDICT)
        assert result.returncode == 8, result.stdout
        assert str(disk.mount) in json.loads(result.stdout)["error"]["message"]
        assert not place.target.exists()


def _slow(place: Place, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A run whose program is at work for another moment."""
    words = (*PREDICT, "--no-cache", "--act", "sleep", "--amount", "0.5", "--progress", "json")
    process = subprocess.Popen(
        [sys.executable, "-m", "cvl", *words], text=True, cwd=place.folder,
        env={"CVL_EXAMPLES": str(STUBS), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        if (event.get("event"), event.get("phase")) == ("progress", "run"):
            return process
    raise AssertionError(process.communicate())


def test_a_run_goes_on_when_the_state_runs_full_and_its_end_is_written_down(
    place: Place, engine_env: dict[str, str]
) -> None:
    with place.disk(place.home / "state") as disk:
        data_of(place.cvl(*PREDICT))
        chosen = levels(3 * MIB // 64)
        for left in chosen if FULL else chosen[:2]:
            process = _slow(place, engine_env)
            disk.fill(left)
            out, errors = process.communicate(timeout=60)
            assert process.returncode == 0, (out, errors)
            place.assert_whole()
            newest = data_of(place.cvl("ps", "--all", "--json"))["runs"][0]
            assert (newest["state"], newest["id"]) == ("ok", json.loads(out)["data"]["run"])
            disk.clear()


@pytest.mark.parametrize("kind", ["bytes", "inodes"])
def test_every_command_that_helps_works_on_a_full_state_disk(kind: str, place: Place) -> None:
    """gc is what the hint says: it makes room where there is none left for the database."""
    with place.disk(place.home, 16, inodes=300) as disk:
        data_of(place.cvl(*WRITE))
        with closing(sqlite3.connect(place.home / "state" / "cvl.db")) as db, db:
            db.execute("UPDATE runs SET ended=5, started=4")
        blob = next((place.home / "cache" / "results" / "sha256").glob("*/*"))
        subprocess.run(["touch", "-d", "2001-01-01", str(blob)], check=True)
        disk.fill() if kind == "bytes" else disk.fill_inodes()
        for words in (["list"], ["ps", "--all"], ["df"], ["logs", "last"], ["doctor"]):
            result = place.cvl(*words, "--json")
            assert json.loads(result.stdout)["data"], (words, result.stdout, result.stderr)
        assert len(data_of(place.cvl("ps", "--all", "--json"))["runs"]) == 1
        freed = data_of(place.cvl("gc", "--yes", "--results-gb", "0", "--json"))
        assert [item["kind"] for item in freed["items"] if item["removed"]] == ["results", "log"]
        assert freed["freed"] > SIZE
        assert not blob.exists()
        assert data_of(place.cvl("ps", "--all", "--json"))["runs"] == []
        if kind == "inodes":  # a run makes more files than were removed
            disk.clear()
        data_of(place.cvl(*PREDICT))
