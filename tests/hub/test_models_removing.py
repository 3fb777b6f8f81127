"""`cvl models rm` and `prune`: what goes, what stays, and that nothing goes under somebody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cvl.machine.weight_leases import lease_name, shared
from tests.cli.terminals import on_terminal
from tests.hub.homes import TINY, USES_TINY, Home, age
from tests.support.hub import Hub
from tests.support.processes import killed, python, said

LEFT = "models--org--tiny/blobs/abc.12345678.incomplete"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where org/tiny was pulled once, for all tests to have a copy of."""
    folder = tmp_path_factory.mktemp("fetched")
    with _served(folder) as home:
        home.data("pull", "mine")
    return folder


@pytest.fixture
def home(fetched: Path, tmp_path: Path) -> Iterator[Home]:
    for name in ("hf", "home"):
        shutil.copytree(fetched / name, tmp_path / name, symlinks=True)
    with _served(tmp_path) as home:
        yield home


@contextmanager
def _served(folder: Path) -> Iterator[Home]:
    with Hub(folder / "served") as hub:
        hub.push("org/tiny", TINY)
        home = Home(folder, hub)
        home.example("mine")
        yield home


def moved(home: Home) -> tuple[str, str]:
    """The branch moves on, and another program fetches it: (commit before, commit now)."""
    (before,) = (path.name for path in home.repo("org/tiny").glob("snapshots/*"))
    now = home.hub.push("org/tiny", {"unet/two.safetensors": b"4" * 7000})
    code = "import sys; from huggingface_hub import snapshot_download as d; d('org/tiny')"
    subprocess.run([sys.executable, "-c", code], env=home.environment, check=True)
    return before, now


def forget_pins(home: Home) -> None:
    for path in (home.folder / "home" / "state" / "weights").glob("*.json"):
        path.unlink()


def names(data: dict) -> list[str]:  # type: ignore[type-arg]
    return [item["name"] for item in data["items"]]


def test_rm_shows_asks_and_removes_the_whole_repo(home: Home) -> None:
    data = home.data("rm", "mine", "--dry-run")
    (item,) = data["items"]
    assert (item["name"], item["used_by"], item["removed"]) == ("org/tiny", ["mine"], False)
    assert home.repo("org/tiny").exists()
    command = [sys.executable, "-m", "cvl", "models", "rm", "mine"]
    status, screen = on_terminal(command, home.environment, home.folder, answer="n\r")
    assert (status, home.repo("org/tiny").exists()) == (0, True)
    assert "Remove 1 thing, " in screen and "nothing was removed" in screen
    status, screen = on_terminal(command, home.environment, home.folder, answer="y\r")
    assert (status, home.repo("org/tiny").exists()) == (0, False), screen
    assert home.models("rm", "mine").returncode == 2  # nobody to ask
    assert home.data("rm", "mine", "--yes")["items"] == []


def test_what_another_example_needs_stays_unless_it_is_named(home: Home) -> None:
    home.example("other", "{repo: org/tiny, files: ['*.bin'], format: pickle}")
    data = home.data("rm", "mine", "--yes")
    assert data["items"] == [] and "mine, other need it" in data["notes"][0]
    assert home.repo("org/tiny").exists()
    assert names(home.data("rm", "org/tiny", "--yes")) == ["org/tiny"]
    assert not home.repo("org/tiny").exists()


def test_a_folder_on_another_disk_goes_with_its_link_and_so_does_a_broken_one(home: Home) -> None:
    elsewhere = home.folder / "elsewhere"
    home.repo("org/tiny").rename(elsewhere)
    home.repo("org/tiny").symlink_to(elsewhere)
    broken = home.repo("org/broken") / "snapshots" / ("1" * 40)
    broken.mkdir(parents=True)
    (broken / "x").symlink_to("../../blobs/nowhere")
    (home.repo("org/broken") / "blobs").mkdir()
    data = home.data("rm", "tiny", "broken", "--yes")
    assert all(item["removed"] for item in data["items"]) and len(data["items"]) == 2
    assert not elsewhere.exists() and not home.repo("org/tiny").is_symlink()
    assert not home.repo("org/broken").exists()


def test_prune_removes_revisions_that_nothing_names(home: Home) -> None:
    before, now = moved(home)
    snapshots = home.repo("org/tiny") / "snapshots"
    for commit in (before, now):
        age(snapshots / commit)
    assert home.data("prune", "--dry-run")["items"] == []  # our pin names it
    forget_pins(home)
    data = home.data("prune", "--dry-run")
    assert [(i["kind"], i["name"]) for i in data["items"]] == [("revision", f"org/tiny@{before}")]
    assert data["size"] == 7000  # what both have is not counted
    data = home.data("prune", "--yes")
    assert data["freed"] == 7000
    assert [path.name for path in snapshots.iterdir()] == [now]
    assert (snapshots / now / "unet/one.safetensors").read_bytes() == TINY["unet/one.safetensors"]


def test_a_commit_that_an_example_names_stays_and_so_does_a_young_one(home: Home) -> None:
    before, _ = moved(home)
    forget_pins(home)
    assert home.data("prune", "--dry-run")["items"] == []  # it may be a download that goes on
    age(home.repo("org/tiny") / "snapshots" / before)
    assert len(home.data("prune", "--dry-run")["items"]) == 1
    home.example("exact", f"{{repo: org/tiny, revision: {before}}}")
    assert home.data("prune", "--dry-run")["items"] == []


def test_only_the_repo_that_was_named_loses_a_commit_that_two_have(home: Home) -> None:
    """A renamed repo keeps its commits, so the same one lies under both names."""
    before, _ = moved(home)
    subprocess.run(["cp", "-a", home.repo("org/tiny"), home.repo("org/old")], check=True)
    (home.repo("org/old") / "refs" / "main").write_text(before)
    forget_pins(home)
    for repo in ("org/tiny", "org/old"):
        for path in (home.repo(repo) / "snapshots").iterdir():
            age(path)
    data = home.data("prune", "--yes")
    assert f"org/tiny@{before}" in names(data) and f"org/old@{before}" not in names(data)
    assert (home.repo("org/old") / "snapshots" / before).is_dir()
    assert not (home.repo("org/tiny") / "snapshots" / before).exists()


def test_leftovers_go_unless_they_are_young_or_open(home: Home) -> None:
    left = home.cache / LEFT
    left.write_bytes(b"x" * 900)
    data = home.data("prune", "--dry-run")
    assert data["items"] == [] and "written to just now" in data["notes"][0]
    age(left)
    writer = python("import sys; f = open(sys.argv[1], 'ab'); print('open', flush=True);"
                    "sys.stdin.read()", str(left))  # fmt: skip
    assert said(writer) == "open"
    data = home.data("prune", "--yes", status=4)
    assert data["items"][0]["note"] == "a process has it open" and left.exists()
    killed(writer)
    data = home.data("prune", "--yes")
    assert (names(data), data["freed"], left.exists()) == ([LEFT], 900, False)


def test_what_a_kill_leaves_of_other_kinds_goes_too(home: Home) -> None:
    """The empty file by which the library learns the mode of new ones, and a branch on its way; no
    commit is kept for the sake of that."""
    before, _ = moved(home)
    forget_pins(home)
    probe = home.repo("org/tiny") / "blobs" / f"tmp_{uuid.uuid4()}"
    branch = home.repo("org/tiny") / "refs" / "main.0123abcd.tmp"
    mine = home.repo("org/tiny") / "blobs" / "tmp_notes"
    for path, text in ((probe, ""), (branch, before), (mine, "kept")):
        path.write_text(text)
    for path in (probe, branch, mine, *(home.repo("org/tiny") / "snapshots").iterdir()):
        age(path)
    data = home.data("prune", "--yes")
    folder = "models--org--tiny"
    assert set(names(data)) == {
        f"{folder}/blobs/{probe.name}", f"{folder}/refs/{branch.name}", f"org/tiny@{before}",
    }  # fmt: skip
    assert not probe.exists() and not branch.exists() and mine.read_text() == "kept"


def test_files_from_urls_go_when_no_example_names_them(home: Home) -> None:
    release = home.hub.publish("v1/face.pth", b"f" * 4000)
    home.example("face", f"{{url: '{release.url}', sha256: {release.sha256}, size: 4000, "
                 "to: face.pth, format: pickle}")  # fmt: skip
    home.data("pull", "face")
    store = home.folder / "home" / "cache" / "weights" / "sha256" / release.sha256[:2]
    part = store / f".{'b' * 64}.part"
    part.write_bytes(b"p" * 70)
    age(part)
    assert names(home.data("prune", "--dry-run")) == [part.name]
    manifest = home.folder / "examples" / "face" / "example.yaml"
    manifest.write_text("name: [")
    data = home.data("prune", "--dry-run")
    assert names(data) == [part.name] and "face may need them" in data["notes"][0]
    manifest.unlink()
    assert names(home.data("prune", "--yes")) == [part.name, release.sha256]
    assert list(store.iterdir()) == []


def share(home: Home, blob: Path, content: str) -> Path:
    """Move a blob to the store that repos share, as huggingface_hub does with Xet files."""
    code = (
        "import sys; from huggingface_hub.utils._shared_blobs import *;"
        "blob, xet, cache, size = sys.argv[1:];"
        "assert publish_blob_to_shared_store(blob_path=blob, xet_hash=xet, cache_dir=cache,"
        " expected_size=int(size))"
    )
    size = str(blob.stat().st_size)
    subprocess.run([sys.executable, "-c", code, blob, content, home.cache, size], check=True)
    assert blob.is_symlink()
    return blob.resolve()


def test_a_blob_that_another_repo_shares_stays(home: Home) -> None:
    home.hub.push("org/second", {"same.safetensors": TINY["unet/one.safetensors"]})
    home.data("pull", "org/second")
    blobs = [home.file("org/tiny", "unet/one.safetensors")]
    blobs.append(home.file("org/second", "same.safetensors"))
    store = {share(home, blob, "ab" * 32) for blob in blobs}
    assert len(store) == 1
    (mine,) = home.data("list")["weights"]
    assert (mine["state"], mine["size"]) == ("complete", 12002)
    (item,) = home.data("rm", "mine", "--dry-run")["items"]
    assert 7002 <= item["size"] < 12002
    home.data("rm", "mine", "--yes")
    assert home.file("org/second", "same.safetensors").read_bytes() == TINY["unet/one.safetensors"]
    (item,) = home.data("rm", "org/second", "--dry-run")["items"]
    assert item["size"] >= 5000
    home.data("rm", "org/second", "--yes")
    assert not store.pop().exists()


@pytest.mark.parametrize("words", [["rm", "mine"], ["prune"]], ids=str)
def test_what_a_process_of_another_home_uses_stays(
    home: Home, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = moved(home)
    forget_pins(home)
    age(home.repo("org/tiny") / "snapshots" / before)
    monkeypatch.setenv("CVL_LEASE_DIR", home.environment["CVL_LEASE_DIR"])
    contents = home.contents()
    with shared(lease_name(home.repo("org/tiny")), lambda seconds: None, lambda: None):
        data = home.data(*words, "--yes", status=4)
        assert {item["note"] for item in data["items"]} == {f"in use by process {os.getpid()}"}
    assert home.contents() == contents
    assert all(item["removed"] for item in home.data(*words, "--yes")["items"])


def test_the_disk_is_too_small_and_prune_would_make_room(home: Home) -> None:
    left = home.cache / LEFT
    left.write_bytes(b"x" * 123_456)
    age(left)
    home.hub.push("org/huge", {"huge.safetensors": 10**13})
    result = home.models("pull", "org/huge")
    assert result.returncode == 8
    assert "cvl models prune frees 123 kB (123456 bytes), or cvl gc" in result.stderr
    assert home.hub.gets("org/huge", "*.safetensors") == 0


def test_df_and_list_count_the_same(home: Home) -> None:
    release = home.hub.publish("v1/face.pth", b"f" * 4000)
    home.example("face", f"{{url: '{release.url}', sha256: {release.sha256}, size: 4000, "
                 f"to: face.pth, format: pickle}}, {USES_TINY}")  # fmt: skip
    home.hub.push("org/second", {"same.safetensors": TINY["unet/one.safetensors"]})
    home.data("pull", "--all")
    home.data("pull", "org/second")
    for repo, path in (("org/tiny", "unet/one.safetensors"), ("org/second", "same.safetensors")):
        share(home, home.file(repo, path), "cd" * 32)
    result = subprocess.run(
        [sys.executable, "-m", "cvl", "df", "--json"], env=home.environment, cwd=home.folder,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [row for row in json.loads(result.stdout)["data"]["usage"] if row["kind"] == "weights"]
    assert sum(row["size"] for row in rows) == home.data("list")["size"]
    assert {row["example"] for row in rows} == {"face", "face, mine", ""}
