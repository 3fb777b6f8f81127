"""Outputs: what a container may leave, checked without trusting any of it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvl.core.manifest import Expect
from cvl.core.plan import OutputRequest
from cvl.errors import InputError, OutputError
from cvl.store.atomic import remove_tree
from cvl.store.outputs import check_output
from cvl.store.targets import prepare_target, remove_staging
from tests.support.files import folder_of_nobody, nested, opens_of, wav
from tests.support.people import needs_root

FILE = OutputRequest("file", "bin")
FOLDER = OutputRequest("directory", "")


def refused(folder: Path, request: OutputRequest = FILE) -> OutputError:
    with pytest.raises(OutputError) as caught:
        check_output("talk", "result", request, folder)
    return caught.value


def test_a_good_file_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "result.bin").write_bytes(b"hello")
    produced = check_output("talk", "result", FILE, tmp_path)
    assert (produced.size, produced.extension) == (5, "bin")
    assert produced.sha256.startswith("2cf24dba5fb0a30e")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path).message == "talk ended well but wrote no 'result'"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.bin").touch()
    assert refused(tmp_path).message == "talk: output 'result' is empty"


def test_a_link_is_refused_and_what_it_names_is_not_opened(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    (tmp_path / "result.bin").symlink_to(canary)
    with opens_of(canary) as opened:
        failure = refused(tmp_path)
        assert not opened()
        canary.read_text()
        assert opened()
    assert (failure.code, failure.message[-15:]) == ("hostile_output", "a symbolic link")


def test_a_fifo_does_not_hang_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.bin")
    assert "not a regular file" in refused(tmp_path).message


def test_a_socket_and_a_folder_are_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("result.bin")
        assert "not a regular file" in refused(tmp_path).message
    (tmp_path / "result.bin").unlink()
    (tmp_path / "result.bin").mkdir()
    assert "not a regular file" in refused(tmp_path).message


def test_a_file_with_a_second_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    os.link(tmp_path / "other", tmp_path / "result.bin")
    assert "not a regular file" in refused(tmp_path).message


def test_a_file_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "result.bin").open("wb") as stream:
        stream.truncate(1 << 40)
    assert refused(tmp_path).message == "talk: output 'result' is sparse"


def test_text_that_is_called_a_video_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "result.mp4").write_text("not a video\n")
    failure = refused(tmp_path, OutputRequest("video", "mp4"))
    assert failure.message.startswith("talk: output 'result' is not a video: it is plain")


def test_sound_is_sound_and_has_the_streams_that_were_declared(tmp_path: Path) -> None:
    wav(tmp_path / "result.wav")
    heard = OutputRequest("audio", "wav", Expect(audio=True, video=False))
    assert check_output("talk", "result", heard, tmp_path).size == 1644
    silent = OutputRequest("audio", "wav", Expect(audio=False))
    assert "should have no audio stream" in refused(tmp_path, silent).message


def test_a_folder_is_known_by_its_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("x")
    (folder / "a\n").write_text("y")
    first = check_output("talk", "result", FOLDER, tmp_path)
    assert first.size == 2
    (folder / "sub" / "a").rename(folder / "sub" / "b")
    assert check_output("talk", "result", FOLDER, tmp_path).sha256 != first.sha256


def test_a_folder_holds_plain_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    folder.mkdir()
    assert "is empty" in refused(tmp_path, FOLDER).message
    (folder / "link").symlink_to("/etc/passwd")
    assert refused(tmp_path, FOLDER).message.endswith("something that is not a plain file")
    (folder / "link").unlink()
    (folder / "one").write_text("x")
    os.link(folder / "one", folder / "two")
    assert refused(tmp_path, FOLDER).code == "hostile_output"


def test_a_folder_holds_no_names_that_are_one_elsewhere_or_nothing(tmp_path: Path) -> None:
    for number, pair in enumerate(
        (("A", "a"), ("\xe9", "e\u0301"), ("b/X", "b/x"), ("C/1", "c/2"))
    ):
        for name in pair:
            file = tmp_path / str(number) / "result" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        failure = refused(tmp_path / str(number), FOLDER)
        assert failure.code == "hostile_output"
        assert "which are one name on some disks" in failure.message
    (tmp_path / "result").mkdir()
    Path(os.fsdecode(bytes(tmp_path) + b"/result/\xff")).write_text("y")
    assert refused(tmp_path, FOLDER).message.endswith("holds a name that is not UTF-8")


def test_a_file_in_a_folder_cannot_claim_more_than_it_holds(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    with (tmp_path / "result" / "film.mp4").open("wb") as stream:
        stream.truncate(1 << 40)
    assert refused(tmp_path, FOLDER).message.endswith("holds a sparse file")


def test_a_device_is_not_even_opened(tmp_path: Path) -> None:
    """Opening alone can move a tape or arm a watchdog."""
    needs_root()
    (tmp_path / "result").mkdir()
    for place, request in ((tmp_path / "result.bin", FILE), (tmp_path / "result" / "x", FOLDER)):
        os.mknod(place, 0o20666, os.makedev(1, 3))
        with opens_of(place) as opened:
            failure = refused(tmp_path, request)
            assert not opened()
            place.read_bytes()
            assert opened()
        assert failure.code == "hostile_output"


def test_what_has_no_mode_is_told_as_such_and_not_passed_over() -> None:
    with folder_of_nobody() as folder:
        (folder / "result" / "locked").mkdir(parents=True)
        (folder / "result" / "locked" / "file").touch()
        (folder / "result" / "locked").chmod(0)
        assert refused(folder, FOLDER).message.endswith("holds something that cannot be read")
        (folder / "result.bin").write_text("x")
        (folder / "result.bin").chmod(0)
        assert "cannot be read" in refused(folder).message


def test_20_000_files_and_1500_levels_cost_no_more_than_1000_files(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    folder = os.open(tmp_path / "result", os.O_RDONLY)
    for number in range(20_000):
        os.mknod(str(number), dir_fd=folder)
    os.close(folder)
    with bounded(seconds=0.5, size=2 << 20):
        assert "more than 1000 files" in refused(tmp_path, FOLDER).message
    remove_tree(tmp_path / "result")
    nested(tmp_path / "result", 1500, "x")
    with bounded(seconds=0.5, size=2 << 20):
        assert "is too deep" in refused(tmp_path, FOLDER).message
    remove_tree(tmp_path / "result")
    assert os.listdir(tmp_path) == []


@contextlib.contextmanager
def bounded(*, seconds: float, size: int) -> Iterator[None]:
    """CPU time and memory of Python's in the block."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        assert time.process_time() - began < seconds
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def test_a_folder_cannot_hold_too_much_and_is_no_link(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    for number in range(1001):
        (full / str(number)).touch()
    (tmp_path / "result").symlink_to(full)
    assert "wrote no folder" in refused(tmp_path, FOLDER).message
    (tmp_path / "result").unlink()
    full.rename(tmp_path / "result")
    assert "more than 1000 files" in refused(tmp_path, FOLDER).message


def test_a_target_is_checked_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "x", "there is no folder"),
        (tmp_path / "file" / "x", "there is no folder"),
        (tmp_path / ("x" * 256), "File name too long"),
    ):
        with pytest.raises(InputError, match=said):
            prepare_target(path, "run", overwrite=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_staging_folder_is_removed_by_its_name_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    link = tmp_path / ".cvl-staging-1"
    link.symlink_to(precious)
    remove_staging(link)
    remove_staging(precious)
    assert precious.is_dir() and link.is_symlink()
    staging = tmp_path / ".cvl-staging-2"
    (staging / "locked").mkdir(parents=True)
    (staging / "locked" / "x").touch()
    (staging / "locked").chmod(0)
    remove_staging(staging)
    assert not staging.exists()
