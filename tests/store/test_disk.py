"""What folders take: files once, links not at all, and the hub cache by its blobs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cvl.store import hub_cache
from cvl.store.disk import children, files, touched, tree_size
from cvl.store.hub_survey import survey


def test_files_count_wherever_they_are_and_links_do_not(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 10)
    (tmp_path / "file").write_bytes(b"x" * 5)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert dict(files(tmp_path)) == {
        str(tmp_path / "a" / "b" / "file"): 10,
        str(tmp_path / "file"): 5,
    }
    assert (tree_size(tmp_path), tree_size(tmp_path / "file")) == (15, 5)
    assert tree_size(tmp_path / "link") == tree_size(tmp_path / "a" / "up") == 0


def test_what_is_not_there_takes_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert (tree_size(nowhere), list(files(nowhere)), children(nowhere)) == (0, [], [])
    assert touched(nowhere) == 0


def test_folders_may_be_deeper_than_python_calls_itself(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (tmp_path / "file").write_bytes(b"x")
    try:
        assert tree_size(tmp_path) == 1
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    variables = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_hub_cache_is_where_its_own_library_looks_for_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub_cache.hub_folder() == home / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert hub_cache.hub_folder() == Path("/xdg/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "~/hf")
    assert hub_cache.hub_folder() == home / "hf" / "hub"
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", "/older")
    assert hub_cache.hub_folder() == Path("/older")
    monkeypatch.setenv("HF_HUB_CACHE", "$HOME/newest")
    assert hub_cache.hub_folder() == home / "newest"


def make_repo(folder: Path, size: int) -> Path:
    """A repo as the hub's library lays it out: two snapshots with links to one blob."""
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "aaaa").write_bytes(b"x" * size)
    for commit in ("1" * 40, "2" * 40):
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to("../../blobs/aaaa")
    return folder


def sizes(hub: Path) -> dict[str, int]:
    return {repo.folder: repo.size for repo in survey(hub)}


def test_a_repo_takes_what_its_blobs_take(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    make_repo(hub / hub_cache.folder_of("org/name"), 1000)
    make_repo(hub / "datasets--org--data", 10)
    make_repo(tmp_path / "elsewhere", 500)
    (hub / "models--org--far").symlink_to(tmp_path / "elsewhere")
    (hub / "models--org--again").symlink_to(tmp_path / "elsewhere")
    (hub / "models--org--broken").symlink_to(tmp_path / "nowhere")
    (hub / ".locks").mkdir()
    (hub / "version.txt").write_text("1")
    assert sizes(hub) == {
        "models--org--name": 1000, "datasets--org--data": 10, "models--org--again": 500,
    }  # fmt: skip
    assert sizes(tmp_path / "nowhere") == {}


def test_a_repo_without_links_takes_what_its_snapshots_take(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / ("1" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"x" * 70)
    assert sizes(tmp_path) == {"models--org--name": 70}
