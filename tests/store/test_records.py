"""Run records: what was acknowledged is there after any crash, and a damaged state is said so."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cvl.core.offload import Peak
from cvl.core.owner import Owner
from cvl.errors import StateError
from cvl.store import records as store_records
from cvl.store.records import OK, RUNNING, VERSION, PeakKey, Records
from tests.support.files import read_only_folder
from tests.support.processes import ended, python, said

ROUNDS = 60 if os.environ.get("CVL_TEST_FULL") else 6
OWNER = Owner("1000", "home", "42", "7", "boot", "ns")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "state" / "cvl.db")


def begin(records: Records, run: str, *scratch: Path) -> None:
    records.begin(run, "echo", "predict", OWNER, list(scratch))


def test_a_run_is_written_down_before_it_starts_and_when_it_ends(records: Records) -> None:
    begin(records, "1")
    running = records.runs()[0]
    assert (running.id, running.state, running.owner, running.ended) == ("1", RUNNING, OWNER, None)
    records.end("1", OK, 0, "", "", {"video": "/a.mp4"})
    ended_ = records.runs()[0]
    assert (ended_.state, ended_.exit, ended_.outputs) == (OK, 0, {"video": "/a.mp4"})
    assert ended_.ended is not None and ended_.ended >= ended_.started


def test_a_run_ends_once(records: Records) -> None:
    begin(records, "1")
    records.end("1", OK, 0, "", "", {})
    records.end("1", "failed", 1, "late", "late", {})
    assert records.runs()[0].state == OK


def test_scratch_is_remembered_until_the_run_ends(records: Records, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(b"/out/\xff\n"))
    begin(records, "1", tmp_path, odd)
    assert records.scratch("1") == [tmp_path, odd]
    records.end("1", OK, 0, "", "odd \udcff", {"video": str(odd)})
    assert records.scratch("1") == []
    assert records.runs()[0].outputs == {"video": str(odd)}


def test_runs_are_listed_newest_first_by_state_and_up_to_a_limit(records: Records) -> None:
    for run in ("1", "2", "3"):
        begin(records, run)
    records.end("2", OK, 0, "", "", {})
    assert [run.id for run in records.runs()] == ["3", "2", "1"]
    assert [run.id for run in records.runs(state=RUNNING)] == ["3", "1"]
    assert [run.id for run in records.runs(limit=1)] == ["3"]


def test_old_records_are_forgotten_and_running_ones_never(records: Records) -> None:
    for run in ("1", "2"):
        begin(records, run, Path("/x"))
    records.end("1", OK, 0, "", "", {})
    assert records.forget_before(0) == []
    assert records.forget_before(1e12) == ["1"]
    assert [run.id for run in records.runs()] == ["2"]


def test_images_of_a_context_newest_first(records: Records) -> None:
    for image in ("a", "b", "a"):
        records.remember_image("context", image)
    assert records.images_of("context") == ["a", "b"]
    assert records.images_of("other") == []


def test_an_image_is_remembered_with_the_time_of_its_last_use(records: Records) -> None:
    for context, image in (("one", "a"), ("one", "b"), ("two", "a")):
        records.remember_image(context, image)
    used = records.images_used()
    assert used.keys() == {"a", "b"} and used["a"] > used["b"]
    made = records_of_images(records.path)["one", "b"]
    records.remember_image("one", "b")
    assert records.images_used()["b"] > used["a"]
    assert records_of_images(records.path)["one", "b"] == made
    assert records.images_of("one") == ["b", "a"]


def records_of_images(path: Path) -> dict[tuple[str, str], float]:
    """(context, image) -> when it was made."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return {(c, i): made for c, i, made in db.execute("SELECT context,image,made FROM images")}


def test_writes_are_safe_against_a_power_cut(records: Records) -> None:
    with sqlite3.connect(records.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_state_is_private(records: Records) -> None:
    assert records.path.parent.stat().st_mode & 0o777 == 0o700


CREATE = """
import pathlib, sys
from cvl.store.records import Records
for path in sys.stdin:
    try:
        Records(pathlib.Path(path.strip())).remember_image("context", sys.argv[1])
        print("made", flush=True)
    except Exception as error:
        print(error, flush=True)
"""


def test_processes_that_create_the_database_at_once(tmp_path: Path) -> None:
    """Many databases, each made by 8 processes that wait for its name."""
    creators = [python(CREATE, str(number)) for number in range(8)]
    for round_ in range(ROUNDS):
        path = tmp_path / str(round_) / "cvl.db"
        for creator in creators:
            assert creator.stdin is not None
            creator.stdin.write(f"{path}\n")
            creator.stdin.flush()
        assert {said(creator) for creator in creators} == {"made"}
        assert len(Records(path).images_of("context")) == 8
    assert [ended(creator)[0] for creator in creators] == [0] * 8


KEY = PeakKey("paint", "cuda", 20)


def test_the_newest_peak_of_a_mode_counts_and_none_leaves_what_was_known(records: Records) -> None:
    records.learn(KEY, "none", Peak(100, 50))
    records.learn(KEY, "none", Peak(None, 60))
    records.learn(KEY, "model", Peak(40, None))
    assert records.peaks(KEY) == {"none": Peak(100, 60), "model": Peak(40, 0)}
    records.learn(KEY, "none", Peak(0, 7))
    assert records.peaks(KEY)["none"] == Peak(0, 7)


@pytest.mark.parametrize("other", [{"example": "film"}, {"device": "cpu"}, {"size": 21}])
def test_peaks_are_of_one_example_device_and_size(records: Records, other: dict[str, Any]) -> None:
    records.learn(KEY, "none", Peak(1, 1))
    assert records.peaks(replace(KEY, **other)) == {}


OLD = """
PRAGMA journal_mode=WAL;
CREATE TABLE runs (
  id TEXT PRIMARY KEY, example TEXT NOT NULL, verb TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running','ok','failed','cancelled','interrupted')),
  owner TEXT NOT NULL, started REAL NOT NULL, ended REAL, exit INTEGER,
  code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
  outputs TEXT NOT NULL DEFAULT '{}');
CREATE TABLE scratch (run TEXT NOT NULL REFERENCES runs(id), path TEXT NOT NULL);
CREATE TABLE images (
  context TEXT NOT NULL, image TEXT NOT NULL, made REAL NOT NULL, PRIMARY KEY (context, image));
INSERT INTO runs VALUES ('1', 'echo', 'predict', 'ok',
  '{"uid":"1000","home":"home","pid":"42","start":"7","boot":"boot","pidns":"ns"}',
  1, 2, 0, '', '', '{"video": "/a.mp4"}');
INSERT INTO images VALUES ('context', 'image', 3);
PRAGMA user_version=1;
"""


SECOND = """
CREATE TABLE peaks (
  example TEXT NOT NULL, device TEXT NOT NULL, size INTEGER NOT NULL, mode TEXT NOT NULL,
  gpu INTEGER NOT NULL, container INTEGER NOT NULL,
  PRIMARY KEY (example, device, size, mode));
INSERT INTO peaks VALUES ('paint', 'cuda', 20, 'model', 4, 5);
PRAGMA user_version=2;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as the first version wrote it."""
    with contextlib.closing(sqlite3.connect(tmp_path / "cvl.db")) as db:
        db.executescript(OLD)
    return tmp_path / "cvl.db"


@pytest.fixture
def second(old: Path) -> Path:
    """As the second version wrote it."""
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.executescript(SECOND)
    return old


def version_of(path: Path) -> tuple[int, set[str]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        return db.execute("PRAGMA user_version").fetchone()[0], {name for (name,) in tables}


def test_a_database_of_the_first_version_is_upgraded_and_keeps_what_it_has(old: Path) -> None:
    records = Records(old)
    assert version_of(old) == (VERSION, {"runs", "scratch", "images", "peaks", "bases"})
    assert (records.runs()[0].owner, records.runs()[0].outputs) == (OWNER, {"video": "/a.mp4"})
    assert (records.images_of("context"), records.images_used()) == (["image"], {"image": 3})
    records.learn(KEY, "none", Peak(1, 1))
    assert Records(old).peaks(KEY) == {"none": Peak(1, 1)}


def test_a_database_of_the_second_version_is_upgraded_and_keeps_what_it_has(second: Path) -> None:
    records = Records(second)
    assert version_of(second) == (VERSION, {"runs", "scratch", "images", "peaks", "bases"})
    assert (records.runs()[0].id, records.peaks(KEY)) == ("1", {"model": Peak(4, 5)})
    assert records.images_used() == {"image": 3}
    records.remember_image("context", "image")
    assert records.images_used()["image"] > 3
    assert records_of_images(second) == {("context", "image"): 3}


def test_an_upgrade_that_fails_half_way_leaves_the_old_version(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = store_records._VERSIONS
    broken = f"{versions[1]};\nCREATE TABLE broken ("
    with monkeypatch.context() as patch:
        patch.setattr(store_records, "_VERSIONS", (versions[0], broken))
        with pytest.raises(StateError, match="incomplete"):
            Records(old)
    assert version_of(old) == (1, {"runs", "scratch", "images"})
    assert Records(old).runs()[0].id == "1"
    assert version_of(old)[0] == VERSION


def test_processes_that_upgrade_a_database_at_once(old: Path) -> None:
    creators = [python(CREATE, str(number)) for number in range(8)]
    for creator in creators:
        assert creator.stdin is not None
        creator.stdin.write(f"{old}\n")
        creator.stdin.flush()
    assert {said(creator) for creator in creators} == {"made"}
    assert [ended(creator)[0] for creator in creators] == [0] * 8
    assert len(Records(old).images_of("context")) == 9


def test_a_database_of_a_newer_cvl_is_refused_and_left_alone(records: Records) -> None:
    with sqlite3.connect(records.path) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StateError, match="written by a newer cvl") as caught:
        Records(records.path)
    assert (caught.value.hint, caught.value.status) == ("upgrade cvl", 3)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cvl.db"
    path.write_bytes(b"not a database at all, but longer than a header" * 100)
    with pytest.raises(StateError, match="not a database") as caught:
        Records(path)
    assert caught.value.code == "state_damaged"


def test_a_folder_that_cannot_be_written_to_is_an_error_with_a_hint() -> None:
    with read_only_folder() as folder:
        with pytest.raises(StateError) as caught:
            Records(folder / "cvl.db")
        assert "unable to open database" in caught.value.message
        assert "permissions" in caught.value.hint
        with pytest.raises(StateError, match="cannot create"):
            Records(folder / "state" / "cvl.db")


def test_the_base_that_was_built_upon_last_is_known(tmp_path: Path) -> None:
    records = Records(tmp_path / "cvl.db")
    assert records.base_of("debian:bookworm-slim") == ""
    for image in ("sha256:1", "sha256:2"):
        records.remember_image("c", "i", base="debian:bookworm-slim", base_id=image)
        assert records.base_of("debian:bookworm-slim") == image
