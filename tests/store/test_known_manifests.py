"""Manifests of earlier commands: given back only while nothing has changed; never a problem."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cvl.core.manifest import Manifest
from cvl.ops.examples import Example
from cvl.store import known_manifests
from cvl.store.known_manifests import SETTLED_NS, recall, remember, stamp
from tests.support.files import read_only_folder
from tests.support.manifests import MODEL, manifest

ECHO = manifest(MODEL, "echo")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest that is old enough to be known, and a home of the test's own."""
    monkeypatch.setenv("CVL_HOME", str(tmp_path / "home"))
    (tmp_path / "echo").mkdir()
    return written(tmp_path / "echo" / "example.yaml", MODEL)


def written(path: Path, text: str) -> Path:
    """Write a manifest; come back once the clock has gone on."""
    path.write_text(text)
    while time.time_ns() - path.stat().st_ctime_ns <= SETTLED_NS:
        os.sched_yield()
    return path


def entry(path: Path) -> Path:
    """The one file of the index."""
    return next((path.parent.parent / "home" / "cache" / "manifests").iterdir())


def known(path: Path) -> Manifest | None:
    return recall(stamp(path))


def test_a_manifest_that_did_not_change_is_known(path: Path) -> None:
    assert known(path) is None
    remember(stamp(path), ECHO)
    assert known(path) == ECHO
    assert entry(path).stat().st_mode & 0o777 == 0o600
    assert entry(path).parent.stat().st_mode & 0o777 == 0o700


def test_an_example_reads_its_manifest_once(path: Path) -> None:
    found = Example("echo", path.parent, "test")
    assert found.manifest == ECHO
    text = entry(path).read_text()
    entry(path).write_text(text.replace("Says what it hears", "From the index"))
    assert Example("echo", path.parent, "test").manifest.summary == "From the index"


def test_the_same_file_under_another_folder_is_judged_anew(path: Path) -> None:
    remember(stamp(path), ECHO)
    link = path.parent.parent / "other"
    link.symlink_to(path.parent)
    with pytest.raises(Exception, match="name is 'echo' but the folder is 'other'"):
        assert Example("other", path.parent, "test").manifest


@pytest.mark.parametrize("how", ["edit", "same size", "same mtime", "replace", "chmod", "gone"])
def test_any_change_of_the_file_makes_it_unknown(path: Path, how: str) -> None:
    remember(stamp(path), ECHO)
    before = path.stat()
    if how == "edit":
        written(path, MODEL + "network: true\n")
    elif how in ("same size", "same mtime"):
        written(path, MODEL.replace("hears", "feels"))
    elif how == "replace":
        written(path.with_suffix(".new"), MODEL).replace(path)
    elif how == "chmod":
        path.chmod(0o600)
    else:
        path.unlink()
    if how == "same mtime":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known(path) is None


def test_a_file_that_was_just_written_is_not_remembered(path: Path) -> None:
    path.write_text(MODEL)
    fresh = stamp(path)
    assert fresh is not None
    remember([*fresh[:-1], time.time_ns()], ECHO)
    assert known(path) is None


def test_another_version_or_other_code_judges_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(stamp(path), ECHO)
    monkeypatch.setattr("cvl.__version__", "99")
    assert known(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2000), st.booleans())
@example(b"", 0, True)
@example(b"[]", 0, True)
@example(b"[" * 60, 0, True)
@example(b'{"stamp": null, "manifest": null}', 0, True)
def test_a_damaged_entry_is_unknown_or_still_the_same(
    path: Path, noise: bytes, at: int, cut: bool
) -> None:
    remember(stamp(path), ECHO)
    good = entry(path).read_bytes()
    entry(path).write_bytes(good[:at] + noise + (b"" if cut else good[at + len(noise) :]))
    found = known(path)
    assert found is None or type(found) is type(ECHO)
    assert Example("echo", path.parent, "test").manifest.name == "echo"
    entry(path).unlink()


def test_an_entry_that_others_could_have_written_is_not_believed(path: Path) -> None:
    remember(stamp(path), ECHO)
    entry(path).chmod(0o620)
    assert known(path) is None
    entry(path).chmod(0o600)
    assert known(path) == ECHO
    place = entry(path)
    place.symlink_to(place.rename(path.parent / "moved"))
    assert known(path) is None


def test_a_home_that_is_missing_or_read_only_costs_time_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.parent.chmod(0o755)
    with read_only_folder() as folder:
        monkeypatch.setenv("CVL_HOME", str(folder / "home"))
        remember(["x", 0, 0], ECHO)
        assert list(folder.iterdir()) == []
    monkeypatch.setenv("CVL_HOME", str(path / "below a file"))
    assert Example("echo", path.parent, "test").manifest == ECHO
    monkeypatch.delenv("CVL_HOME")
    monkeypatch.setenv("HOME", "nowhere")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert Example("echo", path.parent, "test").manifest == ECHO


def test_nobody_else_is_asked() -> None:
    assert known_manifests.recall(None) is None
    assert stamp(Path("/none/example.yaml")) is None
