"""A cache on a small disk of its own: what cannot fit is refused before its first byte, and what
fills it all the same harms nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cvl.ops.weights.needs import RepoNeed, UrlNeed
from tests.support.hub import Fault, Hub, tiny
from tests.support.people import needs_root
from tests.support.pulls import Outcome, need, pull

MB = 1_000_000
SMALL = tiny.weights(2 * MB)
LARGE = tiny.weights(30 * MB, seed=1)
REPO_OF = {RepoNeed: "org/large", UrlNeed: "files"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    needs_root()
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "cvl-test", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def hub(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as started:
        for name, value in started.environment(disk / "hf").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CVL_HOME", str(tmp_path / "cvl"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield started


def files_of(disk: Path) -> dict[str, str]:
    """Everything in the cache that has a name of its own, with its content."""
    return {
        str(path.relative_to(disk)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(disk.rglob("blobs/*"))
    }


def test_what_cannot_fit_is_refused_before_the_first_byte(hub: Hub, disk: Path) -> None:
    hub.push("org/small", {"model.safetensors": SMALL})
    hub.push("org/huge", {"config.json": "{}", "model.safetensors": 70 * MB})
    assert pull(need("org/small")).code == ""
    before = files_of(disk)
    outcome = pull(need("org/huge"))
    free = shutil.disk_usage(disk).free
    assert (outcome.code, outcome.exit_code) == ("disk_full", 8)
    assert outcome.message.startswith("org/huge needs 74 MB, and ")
    assert str(disk) in outcome.message
    more = int(outcome.hint.split("; ")[1].split()[0])
    assert more == int((70 * MB + 2) * 1.05) - free
    assert "cvl models prune" in outcome.hint
    assert [r.file for r in hub.log(repo="org/huge") if not r.file.startswith("api:")] == []
    assert files_of(disk) == before
    linked = UrlNeed("w.bin", f"{hub.url}/files/w.bin", "0" * 64, 10**18, False)
    outcome = pull(linked)
    assert (outcome.code, outcome.exit_code) == ("disk_full", 8)
    assert hub.log(repo="files") == []


def test_what_is_there_already_needs_no_room(hub: Hub, disk: Path) -> None:
    """One file more of a repo whose others fill the disk by more than a half."""
    hub.push("org/grown", {"a.safetensors": LARGE, "b.safetensors": SMALL})
    assert pull(need("org/grown", "a.*")).code == ""
    assert pull(need("org/grown", "*.safetensors")).code == ""
    assert hub.gets("org/grown", "a.safetensors") == 1


def test_a_disk_that_fills_on_the_way_harms_nothing_else(hub: Hub, disk: Path) -> None:
    hub.push("org/small", {"model.safetensors": SMALL})
    hub.push("org/large", {"config.json": "{}", "model.safetensors": LARGE})
    first = pull(need("org/small"))
    before = files_of(disk)
    fault = hub.fault("org/large", "model.safetensors", "stall", at=0.1)
    ballast = disk / "ballast"

    outcome = _while_it_stalls(need("org/large"), hub, fault, ballast)
    assert (outcome.code, outcome.exit_code) == ("disk_full", 8)
    assert outcome.message.startswith(f"the disk at {disk} filled up while org/large was")
    assert f"{len(LARGE)} bytes of it are missing" in outcome.message
    assert "cvl models prune" in outcome.hint
    left = files_of(disk)
    assert before.items() <= left.items()
    assert not [name for name in left if name.endswith(".incomplete")]
    assert pull(need("org/small")).sha256 == first.sha256

    ballast.unlink()
    again = pull(need("org/large"))
    assert again.code == ""
    assert again.sha256["model.safetensors"] == hashlib.sha256(LARGE).hexdigest()
    assert before.items() <= files_of(disk).items()


def _while_it_stalls(wanted: RepoNeed | UrlNeed, hub: Hub, fault: Fault, ballast: Path) -> Outcome:
    """Pull, and let something else grow until 5 MB are left."""
    with ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(pull, wanted)
        hub.wait_for("GET", host="cdn", repo=REPO_OF[type(wanted)], sent=MB)
        with ballast.open("wb") as file:
            size = shutil.disk_usage(ballast.parent).free - 5 * MB
            os.posix_fallocate(file.fileno(), 0, size)
        fault.release()
        return pulled.result()


def test_a_full_disk_keeps_no_part_of_a_file_behind_a_url(
    hub: Hub, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cvl's own store is on that disk here."""
    monkeypatch.setenv("CVL_HOME", str(disk / "cvl"))
    release = hub.publish("v1/w.bin", LARGE)
    wanted = UrlNeed("w.bin", release.url, release.sha256, release.size, False)
    fault = hub.fault("files", "v1/w.bin", "stall", at=0.1)
    ballast = disk / "ballast"

    outcome = _while_it_stalls(wanted, hub, fault, ballast)
    assert (outcome.code, outcome.exit_code) == ("disk_full", 8)
    assert f"the disk at {disk} filled up" in outcome.message
    assert not [*(disk / "cvl").rglob("*.part")]
    ballast.unlink()
    assert pull(wanted).sha256 == {"w.bin": release.sha256}
