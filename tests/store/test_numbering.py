"""Names that nobody chose: free ones are found, nothing is replaced, and no bytes are written
twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cvl.errors import TargetExistsError
from cvl.store.folders import measure
from cvl.store.numbering import publish_all
from cvl.store.outputs import Produced
from cvl.store.publishing import finish
from cvl.store.targets import Target, prepare_target, remove_staging
from tests.support.files import produced, wav

ORPHAN = '{"not": "a sidecar"}'


def allow() -> None:
    return


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def put(
    out: Path,
    check: Callable[[], None] = allow,
    *,
    payload: bytes = b"",
    sidecars: bool = False,
    overwrite: bool = False,
    **made: Produced,
) -> dict[str, tuple[str, bool]]:
    """Publish outputs at `NAME.EXTENSION`, which nobody chose: name -> (file name, written)."""
    targets = {n: _target(out, n, p, overwrite=overwrite) for n, p in made.items()}
    finished = {name: finish(output, payload) for name, output in made.items()}
    done = publish_all(finished, targets, check, sidecars=sidecars)
    remove_staging(out / ".cvl-staging-run")
    return {name: (place.target.path.name, place.written) for name, place in done.items()}


def _target(out: Path, name: str, output: Produced, *, overwrite: bool) -> Target:
    file_name = f"{name}.{output.extension}" if output.extension else name
    return prepare_target(out / file_name, "run", overwrite, numbered=True)


def made(out: Path, data: bytes) -> Produced:
    return produced(out.parent / "made.txt", data)


def frames(out: Path, data: str) -> Produced:
    folder = out.parent / "frames"
    folder.mkdir(exist_ok=True)
    (folder / "0.txt").write_text(data)
    tree = measure(folder)
    return Produced(folder, tree.sha256, tree.size, "")


def test_a_taken_name_is_numbered_and_the_same_bytes_are_found_again(out: Path) -> None:
    for data, name in ((b"one", "video.txt"), (b"two", "video-2.txt"), (b"six", "video-3.txt")):
        assert put(out, video=made(out, data)) == {"video": (name, True)}
    for data, name in ((b"one", "video.txt"), (b"two", "video-2.txt"), (b"six", "video-3.txt")):
        assert put(out, video=made(out, data)) == {"video": (name, False)}
    assert len(list(out.iterdir())) == 3


def test_a_gap_is_filled_but_not_with_bytes_that_come_after_it(out: Path) -> None:
    for data in (b"one", b"two", b"six"):
        put(out, video=made(out, data))
    (out / "video-2.txt").unlink()
    assert put(out, video=made(out, b"six")) == {"video": ("video-3.txt", False)}
    assert put(out, video=made(out, b"new")) == {"video": ("video-2.txt", True)}


def test_a_statement_is_a_part_of_the_bytes(out: Path) -> None:
    source = wav(out.parent / "made.wav")
    for payload, place in (
        (b"seed 1", ("sound.wav", True)),
        (b"seed 2", ("sound-2.wav", True)),
        (b"seed 1", ("sound.wav", False)),
        (b"seed 2", ("sound-2.wav", False)),
    ):
        sound = replace(produced(source, source.read_bytes()), extension="wav")
        assert put(out, payload=payload, sound=sound) == {"sound": place}


@pytest.mark.parametrize("what", ["folder", "link", "dead link", "unreadable"])
def test_whatever_has_the_name_stays(out: Path, what: str) -> None:
    path = out / "video.txt"
    if what == "folder":
        path.mkdir()
    elif what == "unreadable":
        path.write_bytes(b"own")
        path.chmod(0)
    else:
        (out.parent / "theirs").write_bytes(b"one")
        path.symlink_to(out.parent / ("theirs" if what == "link" else "none"))
    before = _of_its_own(path)
    assert put(out, video=made(out, b"one")) == {"video": ("video-2.txt", True)}
    assert _of_its_own(path) == before


def _of_its_own(path: Path) -> tuple[int, ...]:
    """What a look at it leaves as it is: all but the time of the last look."""
    status = os.lstat(path)
    return (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def test_outputs_of_one_run_share_their_number(out: Path) -> None:
    (out / "words.txt").write_bytes(b"mine")
    first = {"video": made(out, b"one"), "words": produced(out.parent / "w.txt", b"hi")}
    assert put(out, **first) == {"video": ("video-2.txt", True), "words": ("words-2.txt", True)}
    first = {"video": made(out, b"one"), "words": produced(out.parent / "w.txt", b"hi")}
    assert put(out, **first) == {"video": ("video-2.txt", False), "words": ("words-2.txt", False)}
    (out / "words-2.txt").unlink()
    first = {"video": made(out, b"one"), "words": produced(out.parent / "w.txt", b"hi")}
    assert put(out, **first) == {"video": ("video-2.txt", False), "words": ("words-2.txt", True)}


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(
    out: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on file systems without hard links."""
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    rivals = iter(("video.txt", "video-2.txt"))

    def somebody_is_faster() -> None:
        for rival in rivals:
            (out / rival).write_bytes(b"theirs")
            return

    done = put(out, somebody_is_faster, video=made(out, b"ours"))
    assert done == {"video": ("video-3.txt", True)}
    assert (out / "video.txt").read_bytes() == (out / "video-2.txt").read_bytes() == b"theirs"
    assert (out / "video-3.txt").read_bytes() == b"ours"


def _no_links(source: object, target: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_the_same_bytes_at_the_last_moment_are_a_success_without_a_write(out: Path) -> None:
    def somebody_is_faster() -> None:
        (out / "video.txt").write_bytes(b"ours")

    done = put(out, somebody_is_faster, video=made(out, b"ours"))
    assert done == {"video": ("video.txt", False)}


def test_folders_are_numbered_too_also_over_an_empty_one(out: Path) -> None:
    assert put(out, frames=frames(out, "one")) == {"frames": ("frames", True)}
    assert put(out, frames=frames(out, "two")) == {"frames": ("frames-2", True)}
    assert put(out, frames=frames(out, "one")) == {"frames": ("frames", False)}

    def somebody_is_faster() -> None:
        (out / "frames-3").mkdir(exist_ok=True)

    done = put(out, somebody_is_faster, frames=frames(out, "six"))
    assert done == {"frames": ("frames-4", True)}
    assert list((out / "frames-3").iterdir()) == []


def test_what_is_no_sidecar_keeps_its_file_name_free(out: Path) -> None:
    (out / "video.txt.cvl.json").write_text(ORPHAN)
    assert put(out, sidecars=True, video=made(out, b"one")) == {"video": ("video-2.txt", True)}
    assert put(out, video=made(out, b"two")) == {"video": ("video.txt", True)}
    assert (out / "video.txt.cvl.json").read_text() == ORPHAN


def test_overwriting_means_the_name_itself(out: Path) -> None:
    put(out, video=made(out, b"one"))
    assert put(out, overwrite=True, video=made(out, b"two")) == {"video": ("video.txt", True)}
    assert (out / "video.txt").read_bytes() == b"two"


def test_a_chosen_name_is_refused_before_anything_unnamed_is_published(out: Path) -> None:
    (out / "chosen.txt").write_bytes(b"mine")
    chosen = prepare_target(out / "chosen.txt", "run", False)
    free = prepare_target(out / "free.txt", "run", False, numbered=True)
    one = finish(made(out, b"one"), b"")
    with pytest.raises(TargetExistsError):
        publish_all({"a": one, "b": one}, {"a": free, "b": chosen}, allow)
    assert [path.name for path in out.iterdir()] == ["chosen.txt"]
