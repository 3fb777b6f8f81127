"""File inputs: looked at once, copied into a private place, and never trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cvl.errors import InputError
from cvl.store.staging import CheckedFile, check_file, digest_of, open_regular, stage
from tests.support.files import wav
from tests.support.manifests import spec

ANY = spec(type="file")


def refused(path: Path | str, kind: str = "file", **limits: float) -> InputError:
    with pytest.raises(InputError) as caught:
        check_file("voice", spec(type=kind, **limits), str(path))
    assert caught.value.message.startswith("--voice")
    return caught.value


def test_a_file_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    checked = check_file("voice", spec(type="audio"), str(wav(tmp_path / "odd name.mp3")))
    assert checked.extension == "wav"
    assert checked.info is not None and checked.info.has_audio


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.TXT", "txt"), ("a", ""), ("a.b/c", ""), ("a.x y", ""), ("a." + "e" * 13, "")],
)
def test_a_file_of_no_type_keeps_a_harmless_extension(
    tmp_path: Path, name: str, extension: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert check_file("voice", ANY, str(path)).extension == extension


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").touch()
    failure = refused(tmp_path / "helo.wav")
    assert failure.message == f"--voice: there is no file {tmp_path}/helo.wav"
    assert failure.hint == f"did you mean {tmp_path}/hello.wav?"
    assert refused(tmp_path / "none" / "x").hint == "check the path"


def test_what_is_no_file_with_content_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert "is not a regular file" in refused(tmp_path / "fifo").message
    assert "is a folder, not a regular file" in refused(tmp_path).message
    assert "is not a regular file" in refused("/dev/zero").message
    assert "is empty" in refused(tmp_path / "empty").message
    assert "cannot read" in refused(tmp_path / "loop").message
    assert "cannot read" in refused(tmp_path / ("x" * 300)).message


def test_a_name_with_controls_is_shown_harmless(tmp_path: Path) -> None:
    assert "a?b" in refused(tmp_path / "a\nb").message


def test_a_file_of_another_type_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("hello there\n")
    failure = refused(tmp_path / "a.wav", "audio")
    assert "plain text" in failure.message
    assert failure.hint == "give an audio file"
    assert refused(wav(tmp_path / "b.wav"), "image").hint == "give an image file"


def test_a_file_that_is_too_long_says_the_limit(tmp_path: Path) -> None:
    failure = refused(wav(tmp_path / "a.wav", 16000), "audio", max_seconds=1.5)
    assert failure.message.endswith("lasts 2.0 s")
    assert failure.hint == "1.5 s is the most"


def checked_text(tmp_path: Path, data: bytes = b"hello") -> CheckedFile:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    return check_file("voice", ANY, str(path))


def test_a_staged_copy_is_private_read_only_and_another_file(tmp_path: Path) -> None:
    checked = checked_text(tmp_path)
    copy = tmp_path / "copy"
    staged = stage("voice", checked, copy)
    assert (staged.sha256, staged.size, staged.extension) == (digest_of(copy), 5, "txt")
    assert copy.stat().st_mode & 0o777 == 0o444
    assert copy.stat().st_ino != checked.path.stat().st_ino
    checked.path.write_bytes(b"other")
    assert copy.read_bytes() == b"hello"


def test_a_file_that_changed_since_it_was_checked_is_refused(tmp_path: Path) -> None:
    checked = checked_text(tmp_path)
    for swap in (b"hullo", b"longer than before"):
        replaced = tmp_path / "new"
        replaced.write_bytes(swap)
        replaced.replace(checked.path)
        with pytest.raises(InputError, match="changed meanwhile"):
            stage("voice", checked, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_staging_never_overwrites(tmp_path: Path) -> None:
    checked = checked_text(tmp_path)
    (tmp_path / "copy").write_text("there")
    with pytest.raises(FileExistsError):
        stage("voice", checked, tmp_path / "copy")


def test_only_a_regular_file_with_one_name_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    with open_regular(tmp_path / "a") as stream:
        assert stream.read() == b"x"
    for name in ("link", "fifo", "."):
        with pytest.raises(OSError):
            open_regular(tmp_path / name)
    os.link(tmp_path / "a", tmp_path / "b")
    with pytest.raises(OSError):
        open_regular(tmp_path / "a")
