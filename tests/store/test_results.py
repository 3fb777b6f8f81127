"""The result store: what it gives back is what was put in, or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cvl.store.outputs import Produced
from cvl.store.results import GRACE_S, Results
from tests.support.files import produced
from tests.support.processes import ended, killed, python, said

KEY = "ab" * 32
ROUNDS = 2000 if os.environ.get("CVL_TEST_FULL") else 200


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def results(tmp_path: Path, warnings: list[str]) -> Results:
    return Results(tmp_path / "results", warnings.append)


def kept(results: Results, tmp_path: Path, data: bytes = b"hello", key: str = KEY) -> Produced:
    """Commit one output and return it as it lies in the store."""
    made = {"text": produced(tmp_path / "made", data)}
    return results.commit(key, made, "fp32").outputs["text"]


def test_what_was_kept_is_found(results: Results, tmp_path: Path) -> None:
    assert results.lookup(KEY) is None
    blob = kept(results, tmp_path)
    found = results.lookup(KEY)
    assert found is not None
    assert (found.outputs, found.dtype) == ({"text": blob}, "fp32")
    assert blob.path.read_bytes() == b"hello"
    assert blob.path.stat().st_mode & 0o777 == 0o444
    assert blob.path.stat().st_nlink == 1


@pytest.mark.parametrize("at", range(5))
def test_any_flipped_byte_is_a_miss_with_a_warning_and_the_blob_is_gone(
    results: Results, tmp_path: Path, warnings: list[str], at: int
) -> None:
    blob = kept(results, tmp_path)
    data = bytearray(b"hello")
    data[at] ^= 1
    blob.path.chmod(0o644)
    blob.path.write_bytes(data)
    assert results.lookup(KEY) is None
    assert warnings == ["a kept result is not used: its text was changed on disk"]
    assert not blob.path.exists()


def test_a_damaged_blob_is_mended_by_the_next_run(results: Results, tmp_path: Path) -> None:
    """Nobody has looked at the blob since it was damaged: the run that makes the same bytes under
    another key must not publish it."""
    blob = kept(results, tmp_path)
    blob.path.chmod(0o644)
    blob.path.write_bytes(b"hellp")
    assert kept(results, tmp_path, key="cd" * 32).path.read_bytes() == b"hello"
    assert results.lookup(KEY) is not None


def test_a_missing_blob_is_a_miss_with_a_warning(
    results: Results, tmp_path: Path, warnings: list[str]
) -> None:
    assert results.lookup(KEY) is None
    assert warnings == []
    kept(results, tmp_path).path.unlink()
    assert results.lookup(KEY) is None
    assert warnings == [
        "a kept result is not used: its text cannot be read: No such file or directory"
    ]


GOOD = {"sha256": "aa" * 32, "size": 1, "extension": "txt"}


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "{",
        "[]",
        "null",
        '{"outputs": []}',
        '{"outputs": {"text": 3}, "made": 1}',
        '{"outputs": {"text": {}}, "made": 1}',
        '{"outputs": {}, "made": null}',
        json.dumps({"outputs": {"text": GOOD}, "made": 1}),
        json.dumps({"outputs": {"text": {**GOOD, "sha256": 5}}, "made": 1}),
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_damaged_entry_is_a_miss_with_a_warning(
    results: Results, tmp_path: Path, warnings: list[str], entry: str
) -> None:
    kept(results, tmp_path)
    next((tmp_path / "results" / "keys").glob("*/*.json")).write_bytes(entry.encode("latin-1"))
    assert results.lookup(KEY) is None
    assert len(warnings) == 1 and warnings[0].startswith("a kept result is not used: its ")
    kept(results, tmp_path)
    assert results.lookup(KEY) is not None


def test_a_key_points_to_what_was_kept_first_unless_it_is_to_be_replaced(
    results: Results, tmp_path: Path
) -> None:
    assert kept(results, tmp_path, b"one").path.read_bytes() == b"one"
    assert kept(results, tmp_path, b"two").path.read_bytes() == b"one"
    made = {"text": produced(tmp_path / "made", b"three")}
    results.commit(KEY, made, "", 5, offload="model", replace=True)
    found = results.lookup(KEY)
    assert found is not None and (found.seed, found.offload) == (5, "model")
    assert found.outputs["text"].path.read_bytes() == b"three"


def test_what_lies_in_the_store_can_be_kept_under_another_key(
    results: Results, tmp_path: Path
) -> None:
    blob = kept(results, tmp_path)
    results.commit("cd" * 32, {"text": blob}, "fp32")
    for key in (KEY, "cd" * 32):
        found = results.lookup(key)
        assert found is not None and found.outputs["text"] == blob


def test_the_store_and_the_work_folder_may_be_on_two_file_systems(tmp_path: Path) -> None:
    other = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    source = other / f"cvl-test-{os.getpid()}"
    results = Results(tmp_path / "results")
    try:
        kept = results.commit(KEY, {"text": produced(source, b"far")}, "")
    finally:
        source.unlink(missing_ok=True)
    assert kept.outputs["text"].path.read_bytes() == b"far"


WRITE_ON = """
import hashlib, itertools, pathlib, sys
from cvl.store.outputs import Produced
from cvl.store.results import Results
root, work = Results(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
work.mkdir(exist_ok=True)
print("ready", flush=True)
for number in itertools.count() if len(sys.argv) < 4 else range(int(sys.argv[3])):
    data = bytes([number % 7]) * 200_000
    made = work / "made"
    made.write_bytes(data)
    output = Produced(made, hashlib.sha256(data).hexdigest(), len(data), "bin")
    root.commit("ab" * 32, {"text": output}, "fp32", replace=True)
"""
ONCE = """
import hashlib, pathlib, sys
from cvl.store.outputs import Produced
from cvl.store.results import Results
made = pathlib.Path(sys.argv[2])
data = sys.argv[2].encode()
made.write_bytes(data)
output = Produced(made, hashlib.sha256(data).hexdigest(), len(data), "bin")
print("ready", flush=True)
sys.stdin.readline()
found = Results(pathlib.Path(sys.argv[1])).commit(sys.argv[3], {"text": output}, "").outputs["text"]
print(found.path.read_text(), flush=True)
"""


def test_a_killed_writer_leaves_a_whole_result_or_none(tmp_path: Path) -> None:
    """50 kills, each at another moment: after so many reads of a key that a writer turns over."""
    warnings: list[str] = []
    results, chance = Results(tmp_path / "results", warnings.append), random.Random(7)
    for _ in range(50):
        writer = python(WRITE_ON, str(tmp_path / "results"), str(tmp_path / "work"))
        assert said(writer) == "ready"
        for _ in range(chance.randrange(1, 30)):
            results.lookup(KEY)
        killed(writer)
        assert_whole(results)
    assert warnings == []
    kept(results, tmp_path)
    assert results.lookup(KEY) is not None


def test_the_first_commit_wins_under_eight_racing_processes(tmp_path: Path) -> None:
    """Each has made other bytes for the same key; all of them end up with the same."""
    root = str(tmp_path / "results")
    for key in (f"{n}" * 64 for n in range(5)):
        racers = [python(ONCE, root, str(tmp_path / f"made-{n}"), key) for n in range(8)]
        assert [said(racer) for racer in racers] == ["ready"] * 8
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        got = {ended(racer)[1].strip() for racer in racers}
        assert len(got) == 1 and got <= {str(tmp_path / f"made-{n}") for n in range(8)}
        found = Results(tmp_path / "results").lookup(key)
        assert found is not None and found.outputs["text"].path.read_text() in got


def assert_whole(results: Results) -> None:
    """Whatever is named like a blob is one."""
    for blob in (results.root / "sha256").glob("*/[0-9a-f]*"):
        assert len(set(blob.read_bytes())) == 1
        assert blob.stat().st_size == 200_000


def test_two_writers_of_one_key_do_not_disturb_each_other(tmp_path: Path) -> None:
    root = str(tmp_path / "results")
    writers = [python(WRITE_ON, root, str(tmp_path / str(n)), "60") for n in range(2)]
    assert [ended(writer)[::2] for writer in writers] == [(0, ""), (0, "")]
    assert Results(tmp_path / "results").lookup(KEY) is not None


def test_two_threads_that_made_the_same_bytes_do_not_disturb_each_other(
    results: Results, tmp_path: Path
) -> None:
    failures: list[Any] = []

    def write(name: str) -> None:
        try:
            for _ in range(100):
                made = produced(tmp_path / name, b"same" * 1000)
                results.commit(KEY, {"text": made}, "")
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"made-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert results.lookup(KEY) is not None


def test_the_least_recently_used_goes_first(results: Results, tmp_path: Path) -> None:
    keys = [f"{n}{n}" * 32 for n in range(4)]
    for age, key in enumerate(keys):
        blob = kept(results, tmp_path, key.encode()[:10] * 100, key)
        os.utime(blob.path, (age, age))
    assert results.lookup(keys[0]) is not None
    assert results.trim(2000, dry_run=True) == results.trim(2000) == 2000
    assert [results.lookup(key) is not None for key in keys] == [True, False, False, True]
    assert results.size() > 2000


def blob_of(results: Results, tmp_path: Path, data: bytes, used: float) -> Path:
    """A blob that was last used then."""
    digest = hashlib.sha256(data).hexdigest()
    path = kept(results, tmp_path, data, key=digest).path
    os.utime(path, (used, used))
    return path


def test_what_was_used_just_now_is_not_trimmed(results: Results, tmp_path: Path) -> None:
    now = time.time()
    old = blob_of(results, tmp_path, b"old", now - GRACE_S - 60)
    new = blob_of(results, tmp_path, b"new", now - GRACE_S + 60)
    assert (results.trim(0, dry_run=True), results.trim(0)) == (3, 3)
    assert not old.exists() and new.exists()
    assert results.trim(0, unused_since=now) == 3
    assert not new.exists()


def test_a_result_is_used_when_it_is_kept_however_long_ago_its_bytes_were_written(
    results: Results, tmp_path: Path
) -> None:
    made = produced(tmp_path / "made", b"early")
    os.utime(made.path, (1, 1))
    results.commit(KEY, {"text": made}, "")
    assert results.trim(0) == 0
    assert results.lookup(KEY) is not None


def test_what_another_is_just_writing_is_not_trimmed(results: Results, tmp_path: Path) -> None:
    blob = blob_of(results, tmp_path, b"old", 1)
    part = blob.with_name(f".{blob.name}.1.1")
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    assert results.trim(0) == 3
    assert part.exists() and not blob.exists()


class Told(Results):
    """Says when somebody is about to wait for the lock."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.waits = threading.Event()

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.waits.set()
        with super()._locked(how):
            yield


def test_what_is_used_after_it_was_chosen_to_go_stays(results: Results, tmp_path: Path) -> None:
    blob, trimming = blob_of(results, tmp_path, b"old", 1), Told(results.root)
    freed: list[int] = []
    trim = threading.Thread(target=lambda: freed.append(trimming.trim(0)))
    with results._locked(fcntl.LOCK_SH):  # a hit has come, and has not marked its blob yet
        trim.start()
        assert trimming.waits.wait(20)
        trim.join(0.2)
        assert trim.is_alive()
        os.utime(blob)
    trim.join()
    assert freed == [0] and blob.exists()


def test_a_hit_waits_for_who_is_removing_and_is_a_miss_then(
    results: Results, tmp_path: Path
) -> None:
    blob, finding = kept(results, tmp_path).path, Told(results.root)
    found: list[Any] = []
    look = threading.Thread(target=lambda: found.append(finding.lookup(KEY)))
    with results._locked(fcntl.LOCK_EX):
        look.start()
        assert finding.waits.wait(20)
        look.join(0.2)
        assert look.is_alive()
        blob.unlink()
    look.join()
    assert found == [None]


TRIM_ON = """
import pathlib, sys, time
from cvl.store.results import Results
results = Results(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
while True:
    results.trim(0, unused_since=time.time() - 100)
"""


def test_a_hit_is_there_although_another_trims_all_the_time(
    results: Results, tmp_path: Path
) -> None:
    root = str(tmp_path / "results")
    trimmer = python(TRIM_ON, root)
    assert said(trimmer) == "ready"
    hits = 0
    try:
        for number in range(ROUNDS):
            data, key = str(number).encode(), f"{number:064d}"
            blob = kept(results, tmp_path, data, key)
            os.utime(blob.path, (1, 1))
            found = results.lookup(key)
            if found is not None:
                hits += 1
                assert found.outputs["text"].path.read_bytes() == data
    finally:
        killed(trimmer)
    assert hits > 0
