"""The database on a disk without room: everything can be read, and a run that goes on can end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from cvl.core.owner import Owner
from cvl.errors import DiskFullError, StateError
from cvl.store.database import RESERVE
from cvl.store.records import OK, RUNNING, Records
from tests.support.disks import PAGE, Disk, small_disk
from tests.support.processes import killed, python, said

OWNER = Owner("1000", "home", "42", "7", "boot", "ns")
NAMES = ("cvl.db", "cvl.db.lock", "cvl.db.reserve")
LEFT = [0, PAGE, 3 * PAGE, 8 * PAGE, 15 * PAGE]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 4, inodes=60) as found:
        yield found


@pytest.fixture
def records(disk: Disk) -> Records:
    """With a run that goes on."""
    found = Records(disk.mount / "state" / "cvl.db")
    begin(found, "1")
    return found


def begin(records: Records, run: str) -> None:
    records.begin(run, "echo", "predict", OWNER, [Path("/work") / run])


def assert_whole(records: Records) -> None:
    """Sound, and nothing lies beside it that was not there before."""
    with closing(sqlite3.connect(records.path)) as db:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = {path.name for path in records.path.parent.iterdir()}
    assert found - {"cvl.db-shm"} == set(NAMES)


@pytest.mark.parametrize("left", LEFT)
def test_what_is_known_can_be_read_without_room(left: int, records: Records, disk: Disk) -> None:
    disk.fill(left)
    again = Records(records.path)
    assert [run.id for run in again.runs()] == ["1"]
    assert again.scratch("1") == [Path("/work/1")]
    assert_whole(again)


@pytest.mark.parametrize("left", LEFT)
def test_a_run_that_goes_on_can_end_without_room(left: int, records: Records, disk: Disk) -> None:
    disk.fill(left)
    records.end("1", OK, 0, "", "x" * 2000, {"video": "/" + "v" * 3000})
    assert [run.state for run in Records(records.path).runs()] == [OK]
    assert_whole(records)


@pytest.mark.parametrize("left", LEFT)
def test_no_run_begins_whose_end_could_not_be_written_down(
    left: int, records: Records, disk: Disk
) -> None:
    records.path.with_name("cvl.db.reserve").unlink()
    disk.fill(left)
    with pytest.raises(DiskFullError, match=f"the disk at {disk.mount} is full"):
        begin(records, "2")
    assert [run.id for run in records.runs()] == ["1"]
    disk.clear()
    begin(records, "2")
    assert len(records.runs()) == 2
    assert records.path.with_name("cvl.db.reserve").stat().st_size == RESERVE


def test_runs_that_end_at_the_same_time_share_the_reserve(records: Records, disk: Disk) -> None:
    others = [str(number) for number in range(2, 10)]
    for run in others:
        begin(records, run)
    disk.fill()

    def end(run: str) -> None:
        Records(records.path).end(run, OK, 0, "", "", {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, others))
    assert {run.state for run in records.runs() if run.id != "1"} == {OK}
    assert_whole(records)


def test_without_a_free_inode_all_the_same(records: Records, disk: Disk) -> None:
    """WAL needs a file of its own, which the reserve makes place for."""
    disk.fill_inodes()
    assert [run.state for run in Records(records.path).runs()] == [RUNNING]
    records.end("1", OK, 0, "", "", {})
    assert [run.state for run in records.runs()] == [OK]
    with pytest.raises(DiskFullError, match="no free inode"):
        Records(disk.mount / "other.db")


def test_what_a_killed_process_wrote_is_read_without_room(records: Records, disk: Disk) -> None:
    """Its WAL is still there."""
    program = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("UPDATE runs SET state='failed'")
print("ready", flush=True)
time.sleep(60)
"""
    writer = python(program, str(records.path))
    assert said(writer) == "ready"
    killed(writer)
    disk.fill()
    assert [run.state for run in Records(records.path).runs()] == ["failed"]
    disk.clear()
    assert [run.state for run in Records(records.path).runs()] == ["failed"]
    assert_whole(records)


def test_a_database_that_is_no_database_is_not_taken_for_a_full_disk(
    records: Records, disk: Disk
) -> None:
    records.path.write_bytes(b"no database" * 1000)
    disk.fill()
    with pytest.raises(StateError, match="not a database"):
        records.runs()
