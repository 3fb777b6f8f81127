"""`cvl models pull`, `verify` and `repair`: what is fetched, what is read again, what is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvl.cli.progress import Clock, describe
from cvl.ops.report import Progress
from tests.hub.homes import TINY, Home
from tests.support.hub import Hub

ONE = "unet/one.safetensors"
TWO = "unet/two.safetensors"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Hub(tmp_path / "served") as hub:
        hub.push("org/tiny", TINY)
        home = Home(tmp_path, hub)
        home.example("mine")
        yield home


def flip(path: Path) -> None:
    """One bit of a byte in the middle, and nothing that a glance would show."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_dry_run_shows_files_and_bytes_and_writes_nothing(home: Home) -> None:
    (item,) = home.data("pull", "mine", "--dry-run")["weights"]
    assert [file["path"] for file in item["files"]] == ["config.json", ONE, TWO]
    assert (item["size"], item["fetched"], len(item["commit"])) == (12002, False, 40)
    result = home.models("pull", "mine", "--dry-run")
    assert f"org/tiny  {ONE}  5.0 kB" in result.stdout
    assert "would fetch 3 files, 12 kB" in result.stderr
    assert home.hub.log(method="GET", path="*.safetensors") == []
    assert not home.cache.exists() and not (home.folder / "home" / "state" / "weights").exists()


def test_pull_fetches_what_is_missing_once(home: Home) -> None:
    (item,) = home.data("pull", "--all")["weights"]
    assert item["fetched"] and item["size"] == 12002
    assert not home.repo("org/tiny").joinpath("extra.bin").exists()
    home.hub.forget()
    result = home.models("pull", "tiny")
    assert (result.returncode, result.stdout) == (0, "")
    assert "org/tiny is complete" in result.stderr
    assert home.hub.log() == []


def test_a_repo_of_no_example_with_patterns_and_a_revision(home: Home) -> None:
    first = home.hub.push("org/new", {"a.bin": b"a" * 2000, "b.txt": b"b"})
    home.hub.push("org/new", {"a.bin": b"c" * 2000})
    (item,) = home.data("pull", "org/new", "--files", "*.bin", "--revision", first)["weights"]
    assert ([file["path"] for file in item["files"]], item["commit"]) == (["a.bin"], first)
    assert home.file("org/new", "a.bin").read_bytes() == b"a" * 2000
    assert list(home.repo("org/new").glob("snapshots/*/b.txt")) == []


def test_what_cannot_be_had_does_not_keep_the_rest_from_coming(home: Home) -> None:
    home.example("absent", "{repo: org/absent}")
    result = home.models("pull", "--all", "--json")
    assert result.returncode == 4
    envelope = json.loads(result.stdout)
    codes = {item["weights"]: item["code"] for item in envelope["data"]["weights"]}
    assert codes == {"org/tiny": None, "org/absent": "repo_not_found"}
    assert envelope["error"]["code"] == "repo_not_found"
    assert home.data("list")["weights"][1]["state"] == "complete"


def test_progress_counts_bytes_and_quiet_is_quiet(home: Home) -> None:
    home.hub.push("org/quick", {"large.safetensors": b"y" * 3_000_000})
    events = [
        json.loads(line)
        for line in home.models("pull", "org/quick", "--progress", "json").stderr.splitlines()
        if line.startswith("{")
    ]
    told = [event for event in events if event["event"] == "progress"]
    assert {(event["unit"], event["total"]) for event in told} == {("B", 3_000_000)}
    assert home.models("pull", "org/tiny", "-q").stderr == ""


def test_bytes_have_a_rate_and_a_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("cvl.cli.progress.time.monotonic", lambda: now[0])
    clock = Clock()
    assert describe(Progress("org/x", "pull", 0, 4_500_000_000, "B"), clock) == "0 B/4.5 GB"
    now[0] += 10
    progress = Progress("org/x", "pull", 900_000_000, 4_500_000_000, "B")
    assert describe(progress, clock) == "900 MB/4.5 GB, 90 MB/s, 40 s left"
    progress = Progress("org/x", "pull", 9_000_000, 4_500_000_000, "B")
    assert describe(progress, clock) == "9.0 MB/4.5 GB, 900 kB/s, 83 min left"


def test_a_flipped_byte_is_found_offline_and_that_file_alone_is_fetched(home: Home) -> None:
    home.data("pull", "mine")
    before = home.contents()
    assert home.data("verify")["weights"][0]["sound"]
    flip(home.file("org/tiny", ONE))
    home.hub.forget()
    found = home.data("verify", "mine", status=4)["weights"][0]
    assert found["bad"] == [{"path": ONE, "size": 5000, "trouble": "wrong_content"}]
    assert sorted(found["good"]) == ["config.json", TWO]
    assert home.hub.log() == []
    assert home.data("list")["weights"][0]["state"] == "partial"
    (mended,) = home.data("repair", "mine")["weights"]
    assert (mended["fetched"], mended["size"], mended["sound"]) == ([ONE], 5000, True)
    assert (home.hub.gets("org/tiny", ONE), home.hub.gets("org/tiny", TWO)) == (1, 0)
    assert home.hub.gets("org/tiny", "config.json") == 0
    assert home.contents() == before
    assert home.data("list")["weights"][0]["state"] == "complete"


def test_missing_cut_and_extra_files_are_told_apart(home: Home) -> None:
    home.data("pull", "mine")
    home.file("org/tiny", ONE).write_bytes(b"1" * 4999)
    home.file("org/tiny", "config.json").unlink()
    (next(home.repo("org/tiny").glob("snapshots/*")) / "mine.txt").write_text("of the user")
    (found,) = home.data("verify", "tiny", status=4)["weights"]
    assert {file["path"]: file["trouble"] for file in found["bad"]} == {
        "config.json": "missing", ONE: "wrong_size",
    }  # fmt: skip
    assert found["extra"] == ["mine.txt"]
    text = home.models("verify", "tiny")
    assert f"org/tiny {ONE}: wrong size (5.0 kB)" in text.stdout
    assert "hint: cvl models repair fetches them again" in text.stderr
    (mended,) = home.data("repair")["weights"]
    assert (mended["fetched"], mended["sound"]) == (["config.json", ONE], True)


def test_against_the_hub_a_forged_lock_is_found(home: Home) -> None:
    home.data("pull", "mine")
    (lock,) = (home.folder / "home" / "state" / "weights").glob("*.json")
    document = json.loads(lock.read_text())
    (files,) = document["files"].values()
    right = files[ONE]["sha256"]
    flip(home.file("org/tiny", ONE))
    files[ONE]["sha256"] = hashlib.sha256(home.file("org/tiny", ONE).read_bytes()).hexdigest()
    assert files[ONE]["sha256"] != right
    lock.write_text(json.dumps(document))
    assert home.data("verify")["weights"][0]["sound"]
    (found,) = home.data("verify", "--online", status=4)["weights"]
    assert found["hub_differs"] == [ONE]
    assert [file["trouble"] for file in found["bad"]] == ["wrong_content"]


def test_a_file_from_a_url_is_verified_and_repaired_too(home: Home) -> None:
    release = home.hub.publish("v1/face.pth", b"f" * 4000)
    home.example("face", f"{{url: '{release.url}', sha256: {release.sha256}, size: 4000, "
                 "to: face.pth, format: pickle}")  # fmt: skip
    home.data("pull", "face")
    (place,) = (home.folder / "home" / "cache" / "weights").rglob(release.sha256)
    assert home.data("verify", "face")["weights"][0]["sound"]
    flip(place)
    (found,) = home.data("verify", "face", status=4)["weights"]
    assert found["bad"] == [{"path": "face.pth", "size": 4000, "trouble": "wrong_content"}]
    assert not place.exists()
    (mended,) = home.data("repair", "face.pth")["weights"]
    assert (mended["fetched"], mended["sound"]) == (["face.pth"], True)
    assert place.read_bytes() == b"f" * 4000


def test_what_was_never_fetched_is_not_sound(home: Home) -> None:
    result = home.models("verify")
    assert (result.returncode, result.stdout) == (4, "org/tiny: nothing is known of it\n")
    assert "hint: cvl models pull org/tiny" in result.stderr
