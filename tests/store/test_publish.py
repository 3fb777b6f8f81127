"""Publishing: the whole file is at the target or what was there before; never a half, never by
surprise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cvl.errors import InputError, TargetExistsError
from cvl.store.outputs import Produced
from cvl.store.patching import statement_in
from cvl.store.publishing import publish
from cvl.store.targets import Target, prepare_target, remove_staging
from tests.support.files import produced, wav
from tests.support.processes import ended, python, said


class Refused(Exception):
    """Raised by the last check before the rename."""


def allow() -> None:
    return


def refuse() -> None:
    raise Refused


def put(path: Path, data: bytes, *, overwrite: bool = False, source: str = "made") -> bool:
    """Publish `data` at `path`, from a folder beside it."""
    work = path.parent / "work"
    work.mkdir(exist_ok=True)
    target = prepare_target(path, "run", overwrite)
    done = publish(produced(work / source, data), target, allow)
    remove_staging(target.staging)
    return done


def test_a_new_file_is_published_with_the_users_own_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        assert put(tmp_path / "a.txt", b"one")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").read_bytes() == b"one"
    assert (tmp_path / "a.txt").stat().st_mode & 0o7777 == 0o640


def test_a_setuid_bit_does_not_survive(tmp_path: Path) -> None:
    made = produced(tmp_path / "made")
    made.path.chmod(0o6755)
    publish(made, prepare_target(tmp_path / "a.txt", "run", False), allow)
    assert (tmp_path / "a.txt").stat().st_mode & 0o7111 == 0


def test_the_same_bytes_are_a_success_without_a_write(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    before = path.stat()
    for overwrite in (False, True):
        assert not put(path, b"one", overwrite=overwrite)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_different_file_stays_unless_overwriting_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    with pytest.raises(TargetExistsError):
        put(path, b"two")
    assert path.read_bytes() == b"one"
    assert put(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"


def test_a_link_at_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"new")
    path = tmp_path / "a.txt"
    path.symlink_to(precious)
    with pytest.raises(TargetExistsError):
        put(path, b"new")
    assert put(path, b"other", overwrite=True)
    assert precious.read_bytes() == b"new"
    assert not path.is_symlink()


def test_a_file_that_appears_in_between_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(TargetExistsError):
        publish(
            produced(tmp_path / "made"),
            prepare_target(path, "run", False),
            lambda: path.write_bytes(b"theirs") and None,
        )
    assert path.read_bytes() == b"theirs"


def test_a_last_check_that_refuses_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    for target in (path, tmp_path / "b.txt"):
        with pytest.raises(Refused):
            publish(produced(tmp_path / "made"), prepare_target(target, "run", True), refuse)
    assert path.read_bytes() == b"one"
    assert not (tmp_path / "b.txt").exists()


PUBLISH = """
import pathlib, resource, sys
from cvl.store.outputs import Produced
from cvl.store.publishing import publish
from cvl.store.staging import digest_of
from cvl.store.targets import prepare_target
made, path, limit = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
size = made.stat().st_size
output = Produced(made, digest_of(made), size, made.suffix[1:] or "txt")
publish(output, prepare_target(path, "run", True), lambda: None, b"statement")
"""


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGTERM", "SIGABRT"])
@pytest.mark.parametrize("existing", [b"one", None])
def test_a_process_that_dies_before_the_rename_leaves_the_target(
    tmp_path: Path, fault: str, existing: bytes | None
) -> None:
    made, path = produced(tmp_path / "made").path, tmp_path / "a.txt"
    if existing is not None:
        path.write_bytes(existing)
    dying = python(PUBLISH, str(made), str(path), "0", CVL_FAULT=f"before_replace:{fault}")
    assert ended(dying)[0] < 0
    assert (path.read_bytes() if path.exists() else None) == existing
    assert ended(python(PUBLISH, str(made), str(path), "0"))[0] == 0
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGTERM"])
def test_a_statement_is_in_the_file_or_there_is_no_file(tmp_path: Path, fault: str) -> None:
    made, path = wav(tmp_path / "made.wav"), tmp_path / "a.wav"
    dying = python(PUBLISH, str(made), str(path), "0", CVL_FAULT=f"before_replace:{fault}")
    assert ended(dying)[0] < 0
    assert not path.exists()
    for _ in range(2):
        assert ended(python(PUBLISH, str(made), str(path), "0"))[0] == 0
        assert statement_in(path) == b"statement"
    assert statement_in(made) is None


def test_a_copy_that_fails_half_way_leaves_the_target(tmp_path: Path) -> None:
    made = produced(tmp_path / "made", b"x" * 100_000).path
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    code, _, err = ended(python(PUBLISH, str(made), str(path), "50000"))
    assert (code, "File too large" in err) == (1, True)
    assert path.read_bytes() == b"one"


def test_a_source_that_vanishes_leaves_the_target(tmp_path: Path) -> None:
    made = produced(tmp_path / "made")
    made.path.unlink()
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    with pytest.raises(FileNotFoundError):
        publish(made, prepare_target(path, "run", True), allow)
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize(
    "name",
    ["x" * 255, "\u4e2d" * 85, "-rf", "a\nb.txt", "'; rm -rf ~; \".mp4", " ", "...", "%s", "~"],
)
def test_hostile_names_are_only_names(tmp_path: Path, name: str) -> None:
    assert put(tmp_path / name, b"one")
    assert (tmp_path / name).read_bytes() == b"one"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "work"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.binary(min_size=1, max_size=40).filter(lambda b: b"/" not in b and b"\0" not in b))
def test_any_name_that_the_file_system_takes_is_published(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    if path.is_dir():
        return
    path.unlink(missing_ok=True)
    assert put(path, b"one")
    assert path.read_bytes() == b"one"


def test_the_store_and_the_target_may_be_on_two_file_systems(tmp_path: Path) -> None:
    """/dev/shm is a file system of its own wherever there is one."""
    other = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    source = other / f"cvl-test-{os.getpid()}"
    try:
        publish(
            produced(source, b"far" * 100_000),
            prepare_target(tmp_path / "a.txt", "run", False),
            allow,
        )
    finally:
        source.unlink()
    assert (tmp_path / "a.txt").read_bytes() == b"far" * 100_000


def test_a_folder_is_published_as_a_whole(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "x").write_text("x")
    target = prepare_target(tmp_path / "out", "run", False)
    assert publish(Produced(made, "", 1, ""), target, allow)
    assert (tmp_path / "out" / "sub" / "x").read_text() == "x"


def test_nothing_is_made_before_there_is_something_to_publish(tmp_path: Path) -> None:
    target = prepare_target(tmp_path / "a.txt", "run", False)
    assert target == Target(tmp_path / "a.txt", tmp_path / ".cvl-staging-run", False)
    assert list(tmp_path.iterdir()) == []


READ_ON = """
import select, sys
print("ready", flush=True)
seen = set()
while not select.select([sys.stdin], [], [], 0)[0]:
    data = open(sys.argv[1], "rb").read()
    seen.add((len(data), len(set(data))))
print(seen)
"""


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """In another process, all the while: never another length, never two kinds of bytes."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * 65536)
    reader = python(READ_ON, str(path))
    assert said(reader) == "ready"
    for number in range(60):
        put(path, (b"a", b"b")[number % 2] * 65536, overwrite=True)
    assert ended(reader)[1] == "{(65536, 1)}\n"


@pytest.mark.parametrize("how", ["link", "file", "stranger"])
def test_a_staging_folder_that_somebody_else_made_is_not_used(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is in the labels of the container while a run lasts."""
    precious = tmp_path / "precious"
    (precious / "output").mkdir(parents=True)
    target = prepare_target(tmp_path / "a.txt", "run", overwrite=True)
    if how == "link":
        target.staging.symlink_to(precious)
    elif how == "file":
        target.staging.write_text("theirs")
    else:
        target.staging.mkdir()
        monkeypatch.setattr("os.geteuid", lambda: 4242)
    with pytest.raises(InputError, match="somebody else made"):
        publish(produced(tmp_path / "made"), target, allow)
    assert (precious / "output").is_dir() and not target.path.exists()
