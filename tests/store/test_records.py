"""Run records: what was acknowledged is there after any crash, and a damaged state is said so."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from cvl.core.owner import Owner
from cvl.errors import StateError
from cvl.store.records import OK, RUNNING, VERSION, Records
from tests.support.files import read_only_folder
from tests.support.processes import ended, killed, python, said

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


def test_writes_are_safe_against_a_power_cut(records: Records) -> None:
    with sqlite3.connect(records.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_state_is_private(records: Records) -> None:
    assert records.path.parent.stat().st_mode & 0o777 == 0o700


WRITE_ON = """
import itertools, pathlib, sys
from cvl.core.owner import Owner
from cvl.store.records import Records
records = Records(pathlib.Path(sys.argv[1]))
for number in itertools.count():
    run = f"{sys.argv[2]}-{number}"
    records.begin(run, "echo", "predict", Owner("1", "h", "2", "3", "b", "n"), [])
    print(run, flush=True)
    records.end(run, "ok", 0, "", "", {})
"""


def test_no_acknowledged_run_is_lost_when_a_writer_is_killed(tmp_path: Path) -> None:
    """12 kills, each after another number of runs, two writers at a time."""
    path, acknowledged, chance = tmp_path / "cvl.db", set(), random.Random(3)
    for round_ in range(6):
        writers = [python(WRITE_ON, str(path), f"{round_}{side}") for side in "ab"]
        for writer in writers:
            acknowledged |= {said(writer) for _ in range(chance.randrange(1, 12))}
            killed(writer)
            assert "" not in acknowledged
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert acknowledged <= {run.id for run in Records(path).runs(limit=10**9)}
    begin(Records(path), "after")


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
    assert caught.value.hint == "move the file away"


def test_a_folder_that_cannot_be_written_to_is_an_error_with_a_hint() -> None:
    with read_only_folder() as folder:
        with pytest.raises(StateError) as caught:
            Records(folder / "cvl.db")
        assert "unable to open database" in caught.value.message
        assert "permissions" in caught.value.hint
        with pytest.raises(StateError, match="cannot create"):
            Records(folder / "state" / "cvl.db")
