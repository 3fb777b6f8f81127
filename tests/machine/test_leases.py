"""A GPU has one holder on the whole machine, and nobody waits for what a dead process held."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cvl.errors import DiskFullError, GpuError, InputError, StateError
from cvl.machine.gpus import Gpu
from cvl.machine.leases import Wanted, lease_folder, leased, select
from tests.support.disks import small_disk
from tests.support.people import as_uid, elsewhere, needs_root
from tests.support.processes import ended, killed, python, said

A, B = "GPU-aaaa-1111", "GPU-bbbb-2222"
GPUS = [Gpu(n, uuid, "Test", 8, 8, "1", "9.0") for n, uuid in enumerate((A, B))]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lease folder of the test's own."""
    monkeypatch.setenv("CVL_LEASE_DIR", str(tmp_path / "leases"))
    return tmp_path / "leases"


def no_pause(seconds: float) -> None:
    raise AssertionError("nobody should have to wait")


def lease(*candidates: str, count: int = 1):  # type: ignore[no-untyped-def]
    return leased(Wanted(candidates, count), no_pause, lambda text: None)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("all", Wanted((A, B), 2)),
        ("1", Wanted((A, B), 1)),
        ("2", Wanted((A, B), 2)),
        ("device=0", Wanted((A,), 1)),
        ("device=1, 0", Wanted((B, A), 2)),
        ("device=0,0", Wanted((A,), 1)),
        (B, Wanted((B,), 1)),
        (f"device={B},0", Wanted((B, A), 2)),
        ("gpu-aaaa", Wanted((A,), 1)),
    ],
)
def test_gpus_are_selected_by_count_index_and_uuid(spec: str, wanted: Wanted) -> None:
    assert select(spec, GPUS) == wanted


@pytest.mark.parametrize(
    "spec",
    ["0", "none", "", "device=", "device=2", "-1", "1.5", "\xb2", "GPU-", "device=0,x", "GPU-cc"],
)
def test_what_names_no_gpu_is_refused(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        select(spec, GPUS)
    assert caught.value.hint


def test_fewer_gpus_than_asked_for_says_how_many_there_are() -> None:
    with pytest.raises(GpuError) as caught:
        select("3", GPUS)
    assert (caught.value.code, caught.value.hint) == ("not_enough_gpus", "give --gpus 2")
    with pytest.raises(GpuError, match="no NVIDIA GPU"):
        select("1", [])


def test_a_lease_takes_the_first_that_is_free() -> None:
    with lease(A, B) as first, lease(A, B) as second:
        assert (first, second) == ((A,), (B,))
    with lease(A, B) as again:
        assert again == (A,)


def test_all_or_none_are_held_while_waiting() -> None:
    told: list[str] = []

    def look(seconds: float) -> None:
        with lease(A) as free:
            assert free == (A,)
        raise KeyboardInterrupt

    with lease(B), pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with leased(Wanted((A, B), 2), look, told.append):
            raise AssertionError("one of the two was held by another")
    assert told == [f"waiting for a GPU: held by pid {os.getpid()} of uid {os.getuid()}" + TWICE]


TWICE = f", pid {os.getpid()} of uid {os.getuid()}"


def test_a_lease_ends_with_an_error_too() -> None:
    with pytest.raises(KeyError), lease(A):
        raise KeyError
    with lease(A):
        pass


HOLD = """
from cvl.machine.leases import Wanted, leased
import sys
def pause(seconds): raise SystemExit("busy")
with leased(Wanted(tuple(sys.argv[1:]), len(sys.argv) - 1), pause, print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_death_of_a_holder_frees_its_gpus() -> None:
    holder = python(HOLD, A, B)
    assert said(holder) == "held"
    assert ended(python(HOLD, A))[0] == 1
    killed(holder)
    with lease(A, B, count=2) as uuids:
        assert uuids == (A, B)


COMPETE = """
import os, pathlib, sys
from cvl.machine.leases import Wanted, leased
witness, rounds, count = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def pause(seconds): os.sched_yield()
for _ in range(rounds):
    with leased(Wanted(tuple(sys.argv[4:]), count), pause, lambda text: None) as uuids:
        assert len(set(uuids)) == count
        for uuid in uuids:
            os.close(os.open(witness / uuid, os.O_CREAT | os.O_EXCL))
        for uuid in uuids:
            os.unlink(witness / uuid)
print("done")
"""


@pytest.mark.parametrize("counts", [(1,) * 8, (1, 2) * 4, (2,) * 8])
def test_two_processes_never_hold_one_gpu(tmp_path: Path, counts: tuple[int, ...]) -> None:
    """The witness of a GPU can be made only by who holds it alone."""
    witness = tmp_path / "witness"
    witness.mkdir()
    competing = [python(COMPETE, str(witness), "100", str(n), A, B) for n in counts]
    assert [ended(process) for process in competing] == [(0, "done\n", "")] * 8


def test_every_user_may_use_the_folder_and_its_files(folder: Path) -> None:
    mask = os.umask(0o077)
    try:
        with lease(A):
            pass
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert (folder / f"{A}.lock").stat().st_mode & 0o777 == 0o666


def test_a_link_that_somebody_planted_is_not_followed(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x")
    folder.mkdir()
    (folder / f"{B}.lock").symlink_to(precious)
    with pytest.raises(StateError, match="cannot use a lease"), lease(A, B, count=2):
        raise AssertionError("a link was taken for a lease")
    assert precious.read_text() == "x"
    with lease(A) as uuids:
        assert uuids == (A,)


@pytest.mark.parametrize("plant", ["folder link", "file", "closed folder", "open folder"])
def test_a_folder_that_others_planted_is_refused_and_nothing_is_changed(
    folder: Path, tmp_path: Path, plant: str
) -> None:
    """As root, whom modes do not stop; a link would have made a folder of ours open to all."""
    needs_root()
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    if plant == "folder link":
        folder.symlink_to(mine)
    elif plant == "file":
        folder.write_text("precious")
    else:
        folder.mkdir()
        folder.chmod(0o700 if plant == "closed folder" else 0o777)
        os.chown(folder, 4321, 4321)
    with pytest.raises(StateError, match="not one that all users share") as caught, lease(A):
        raise AssertionError("the folder was used")
    assert caught.value.hint == f"sudo rm -r {folder}: the next run makes it anew"
    assert mine.stat().st_mode & 0o7777 == 0o700 and not list(mine.iterdir())


@pytest.mark.parametrize("plant", ["text", "pipe", "folder", "second name"])
def test_what_is_no_lease_file_is_neither_written_to_nor_waited_for(
    folder: Path, tmp_path: Path, plant: str
) -> None:
    precious, place = tmp_path / "precious", folder / f"{A}.lock"
    precious.write_text("precious")
    folder.mkdir()
    folder.chmod(0o1777)
    if plant == "text":
        place.write_text("precious")
    elif plant == "second name":
        place.hardlink_to(precious)
    elif plant == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    with pytest.raises(StateError, match="cannot use a lease"), lease(A):
        raise AssertionError("it was taken for a lease")
    assert precious.read_text() == "precious"
    assert plant != "text" or place.read_text() == "precious"


def test_what_a_holder_wrote_reaches_no_terminal_as_an_escape(folder: Path) -> None:
    told: list[str] = []

    def pause(seconds: float) -> None:
        raise KeyboardInterrupt

    with lease(A):
        (folder / f"{A}.lock").write_bytes(b"pid 1 \x1b]0;owned\x07\xff\xfe\x1b[2J")
        with pytest.raises(KeyboardInterrupt), leased(Wanted((A,), 1), pause, told.append):
            raise AssertionError("two hold one GPU")
    assert "\x1b" not in told[0] and "pid 1" in told[0]


RACE = """
import os, sys
os.umask(int(sys.argv[1], 8))
from pathlib import Path
from cvl.machine.leases import Wanted, leased
def pause(seconds): os.sched_yield()
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    folder = os.environ["CVL_LEASE_DIR"] = f"{sys.argv[3]}/{number}/leases"
    first = number % 4  # one of the three users, or whoever wins
    while first not in (0, int(sys.argv[5])) and not os.path.exists(folder):
        os.sched_yield()
    with leased(Wanted((sys.argv[4],), 1), pause, lambda text: None):
        witness = f"{sys.argv[3]}/{number}/witness"
        os.close(os.open(witness, os.O_CREAT | os.O_EXCL))
        os.unlink(witness)
print("done", flush=True)
"""
"""The first lease of the machine, over and over: who comes first makes folder and file."""


@pytest.mark.parametrize("masks", [("077", "077"), ("002", "077"), ("022", "002")])
def test_two_users_never_hold_one_gpu_whoever_came_first(masks: tuple[str, str]) -> None:
    needs_root()
    rounds = 60
    with elsewhere() as place:
        place.chmod(0o755)
        for number in range(rounds):
            (place / str(number)).mkdir()
            (place / str(number)).chmod(0o1777)
        users = [as_uid(uid) for uid in (1234, 4321, 0)]
        competing = [
            python(RACE, masks[n % 2], str(rounds), str(place), A, str(n % 3 + 1), become=user)
            for n, user in enumerate(users * 2)
        ]
        assert [said(process) for process in competing] == ["ready"] * 6
        for process in competing:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [ended(process) for process in competing] == [(0, "done\n", "")] * 6
        owners = {(place / str(n) / "leases").stat().st_uid for n in range(rounds)}
        assert owners == {0, 1234, 4321}


def test_a_folder_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CVL_LEASE_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(StateError, match="cannot use the lease folder"), lease(A):
        raise AssertionError("there is no folder")


def test_without_a_setting_the_folder_is_one_that_everybody_reaches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CVL_LEASE_DIR")
    assert lease_folder() in (Path("/run/lock/cvl-leases"), Path("/tmp/cvl-leases"))


def test_a_gpu_is_leased_although_the_disk_of_the_leases_is_full(folder: Path) -> None:
    """Who holds it cannot be written down; the lock needs no room."""
    with small_disk(folder, 1, inodes=20) as disk:
        disk.fill()
        with lease(A) as held:
            assert held == (A,)
        disk.clear()
        disk.fill_inodes()
        with lease(A) as held:
            assert held == (A,)
        with pytest.raises(DiskFullError, match=str(disk.mount)) as caught, lease(B):
            pass
        assert "CVL_LEASE_DIR" in caught.value.hint
