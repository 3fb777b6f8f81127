"""A database that is cut short, full of something else, locked away, shared by machines or killed
while it was upgraded: one sentence and what to do, and nothing of it is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cvl.core.offload import Peak
from cvl.core.owner import Owner
from cvl.errors import StateError
from cvl.store import database
from cvl.store.records import VERSION, PeakKey, Records
from tests.support.files import read_only_folder

OWNER = Owner("1000", "home", "42", "7", "boot", "ns")
RUNS = 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of some pages, with nothing beside it."""
    return filled(tmp_path / "state" / "cvl.db")


def filled(path: Path) -> Path:
    Records(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        rows = [(f"r{n}", "x" * 300) for n in range(RUNS)]
        owner = '{"uid":"1","home":"h","pid":"2","start":"3","boot":"b","pidns":"n"}'
        db.executemany(
            f"INSERT INTO runs (id,example,verb,state,owner,started,message)"
            f" VALUES (?,'echo','predict','running','{owner}',1,?)",
            rows,
        )
        db.execute("COMMIT")
    return path


def use(path: Path) -> None:
    """What commands do with it."""
    records = Records(path)
    records.runs(limit=10**9)
    records.matching("r1")
    records.begin("new", "echo", "predict", OWNER, [Path("/a")])
    records.end("new", "ok", 0, "", "", {})
    records.learn(PeakKey("a", "cpu", 1), "none", Peak(1, 1))
    records.forget_before(1e12)


SIZE = 80_000
OFFSETS = [2, 16, 99, 100, 4095, 4096, 4097, 8192, 20_480, 40_961]


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_database_that_was_cut_short_is_named_left_alone_and_put_away_by_the_hint(
    offset: int, path: Path
) -> None:
    assert path.stat().st_size > SIZE
    os.truncate(path, offset)
    cut = path.read_bytes()
    with pytest.raises(StateError) as caught:
        use(path)
    assert (caught.value.code, caught.value.status) == ("state_damaged", 3)
    assert str(path) in caught.value.message and "\n" not in caught.value.message
    assert path.read_bytes() == cut
    assert begun_anew(path, caught.value.hint).read_bytes() == cut


def begun_anew(path: Path, hint: str) -> Path:
    """Do what the hint says; where the damaged one is then."""
    command = hint.partition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True, timeout=10)
    use(path)
    (kept,) = path.parent.glob("damaged-*/cvl.db")
    return kept


@pytest.mark.parametrize("kind", ["text", "noise", "header", "a page", "another's", "a row"])
def test_a_database_that_is_something_else_is_named_and_left_alone(kind: str, path: Path) -> None:
    data = path.read_bytes()
    spoilt = {
        "text": b"hello\n" * 1000,
        "noise": os.urandom(9000),
        "header": b"SQLite format 4\0" + data[16:],
        "a page": data[:4096] + os.urandom(4096) + data[8192:],
    }
    if kind in spoilt:
        path.write_bytes(spoilt[kind])
    else:
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("DROP TABLE runs" if kind == "another's" else "UPDATE runs SET owner='{'")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)") if kind in ("another's", "a row") else None
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        use(path)
    assert caught.value.code == "state_damaged"
    assert path.read_bytes() == before
    assert begun_anew(path, caught.value.hint).read_bytes() == before


def test_what_was_put_away_before_is_not_replaced(path: Path) -> None:
    for number in (1, 2):
        path.write_bytes(b"damaged" * 1000 * number)
        with pytest.raises(StateError) as caught:
            Records(path)
        subprocess.run(["sh", "-c", caught.value.hint.partition(": ")[2]], check=True, timeout=10)
    kept = sorted(path.parent.glob("damaged-*/cvl.db"))
    assert [len(file.read_bytes()) for file in kept] == [7000, 14000]


@contextlib.contextmanager
def unwritable(source: Path, *, folder: bool = True) -> Iterator[Path]:
    """A copy of a database in a folder of another's; with folder=False, the file alone is."""
    with read_only_folder() as place:
        root = os.geteuid() != os.getuid()
        if root:
            os.seteuid(0)
        place.chmod(0o755)
        for file in source.parent.glob(f"{source.name}*"):
            shutil.copyfile(file, place / file.name)
            (place / file.name).chmod(0o444)
        place.chmod(0o555 if folder else 0o777)
        if root:
            os.seteuid(65534)
        yield place / source.name


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
def test_what_cannot_be_written_can_be_looked_at(folder: bool, path: Path) -> None:
    with unwritable(path, folder=folder) as place:
        records = Records(place)
        assert len(records.runs(limit=10**9)) == RUNS
        assert records.matching("r199")[0].id == "r199"
        with pytest.raises(StateError) as caught:
            records.begin("new", "echo", "predict", OWNER, [])
    assert (caught.value.code, caught.value.status) == ("state_read_only", 3)
    assert "cannot be written" in caught.value.message and "CVL_HOME" in caught.value.hint


@pytest.mark.parametrize("index", [True, False], ids=["its index", "no index"])
def test_what_cannot_be_written_and_has_more_beside_it_is_not_shown_by_half(
    index: bool, path: Path
) -> None:
    """A writer is at it, or was killed: the newest is shown, or nothing."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs SET message='newer' WHERE id='r1'")
        db.commit()
        if not index:
            shutil.copytree(path.parent, path.parent.parent / "killed")
            path = path.parent.parent / "killed" / path.name
            path.with_name("cvl.db-shm").unlink()
        with unwritable(path) as place:
            try:
                shown = next(r for r in Records(place).runs() if r.id == "r1").message
            except StateError as error:
                shown = error.code
    assert shown == ("newer" if index else "state_read_only")


def journal_of(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return str(db.execute("PRAGMA journal_mode").fetchone()[0])


def test_on_a_network_file_system_no_memory_is_shared(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert journal_of(path) == "wal"
    monkeypatch.setattr(database, "is_network", lambda folder: True)
    for place in (path, tmp_path / "new" / "cvl.db"):
        records = Records(place)
        records.begin("new", "echo", "predict", OWNER, [])
        assert records.matching("new")[0].state == "running"
        assert journal_of(place) == "delete"
        assert {file.name for file in place.parent.glob("cvl.db*")} <= {
            "cvl.db",
            "cvl.db.lock",
            "cvl.db.reserve",
        }
    assert len(Records(path).runs(limit=10**9)) == RUNS + 1


class Killed(sqlite3.Connection):
    """Ends its process instead of executing one of its statements."""

    left = 0

    def execute(self, *words: Any) -> sqlite3.Cursor:
        Killed.left -= 1
        if Killed.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*words)


def opened_and_killed(path: Path, number: int) -> int:
    """Open a database in a process that is killed at its statement `number`; how that ended."""
    pid = os.fork()
    if pid == 0:
        connect, Killed.left = sqlite3.connect, number
        sqlite3.connect = lambda *words, **more: connect(*words, factory=Killed, **more)
        try:
            Records(path)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


FIRST = """
PRAGMA journal_mode=WAL;
CREATE TABLE runs (
  id TEXT PRIMARY KEY, example TEXT NOT NULL, verb TEXT NOT NULL, state TEXT NOT NULL,
  owner TEXT NOT NULL, started REAL NOT NULL, ended REAL, exit INTEGER,
  code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
  outputs TEXT NOT NULL DEFAULT '{}');
CREATE TABLE scratch (run TEXT NOT NULL REFERENCES runs(id), path TEXT NOT NULL);
CREATE TABLE images (
  context TEXT NOT NULL, image TEXT NOT NULL, made REAL NOT NULL, PRIMARY KEY (context, image));
INSERT INTO images VALUES ('context', 'image', 3);
PRAGMA user_version=1;
"""


def test_an_upgrade_that_is_killed_at_any_statement_is_done_by_the_next(tmp_path: Path) -> None:
    """From the first version and from none: all at once or not at all."""
    for number in range(1, 100):
        places = [tmp_path / kind / f"{number}" / "cvl.db" for kind in ("old", "new")]
        for place in places:
            place.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(places[0])) as db:
            db.executescript(FIRST)
        codes = [opened_and_killed(place, number) for place in places]
        for place, first in zip(places, (1, 0), strict=True):
            with contextlib.closing(sqlite3.connect(place)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert db.execute("PRAGMA user_version").fetchone()[0] in (first, VERSION)
            use(place)
            assert Records(place).images_of("context") == ["image"] * first
        if codes == [0, 0]:
            break
    assert number > 12, "it was killed at every statement of the upgrade"
