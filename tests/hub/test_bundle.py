"""Weights go from one machine to another in a file: the same file each time, and nothing of a file
that is not in perfect order."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvl.core import bundle as form
from cvl.core.bundle import Bundle, BundledUrl
from cvl.core.weights import RepoFile
from cvl.errors import CvlError, InputError, TargetExistsError, WeightsError
from cvl.ops.weights.exporting import export
from cvl.ops.weights.importing import import_bundle
from cvl.ops.weights.needs import UrlNeed
from cvl.ops.weights.pulling import pull_url
from cvl.store.bundle_file import read_bundle, write_bundle
from cvl.store.pins import Pin
from tests.conftest import STUBS
from tests.hub.weights import NEED, REPO, Place, exported, model
from tests.support.hub import Hub


@pytest.fixture
def isolated(hub: Hub, bare: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A machine with nothing and no network: the hub refuses, offline is set, and there is a proxy
    that does not answer."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    yield bare
    asked = [record for record in hub.log() if record.host == "hub"]
    assert asked == []


def test_what_was_exported_is_there_after_an_import(
    good: Path, url: UrlNeed, isolated: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = import_bundle(isolated.session(offline=True), good)
    assert isolated.offline() == {
        path: content if isinstance(content, bytes) else str(content).encode()
        for path, content in model().items()
        if not path.startswith("extra")
    }
    assert pull_url(isolated.session(offline=True), url).stat().st_size == url.size
    assert (done.fetched > 200_000, done.moved) == (True, {})
    again = import_bundle(isolated.session(offline=True), good)
    assert again.fetched == 0
    assert "incoming" not in json.dumps(sorted(isolated.files()))


def test_the_cache_is_the_one_that_a_download_makes(
    good: Path, pulled: Place, isolated: Place
) -> None:
    """Files, links and lists, and what they hold: other programs see no difference."""
    import_bundle(isolated.session(), good)
    assert _tree(isolated.cache) == _tree(pulled.cache)


def _tree(cache: Path) -> dict[str, str]:
    found = {}
    for path in sorted(cache.rglob("*")):
        if ".locks" in path.parts or path.is_dir():
            continue
        text = os.readlink(path) if path.is_symlink() else ""
        content = path.read_bytes()
        if path.parent.name == "trees":  # where a pointer has its digest, the stand-in says another
            listed = json.loads(content)["files"].values()
            content = repr(
                [f | {"blob_id": f.get("lfs_size") or f["blob_id"]} for f in listed]
            ).encode()
        digest = hashlib.sha256(content).hexdigest()
        found[str(path.relative_to(cache))] = f"{text} {digest}"
    return found


def test_the_same_weights_make_the_same_bytes(good: Path, isolated: Place, url: UrlNeed) -> None:
    """On another machine, at another time, from what came out of a bundle."""
    import_bundle(isolated.session(), good)
    again = exported(isolated, url, NEED, NEED)
    assert again.read_bytes() == good.read_bytes()


def test_it_is_a_plain_tar(good: Path) -> None:
    with tarfile.open(good, "r:") as archive:
        members = archive.getmembers()
        assert all(member.isreg() and member.mtime == 0 for member in members)
        assert members[0].name == "cvl-bundle.json"
        for member in members[1:]:
            stream = archive.extractfile(member)
            assert stream is not None
            assert member.name == f"blobs/sha256/{hashlib.sha256(stream.read()).hexdigest()}"
    assert good.stat().st_size % 10240 == 0


def test_a_pin_moves_to_the_commit_of_the_bundle(hub: Hub, here: Place, good: Path) -> None:
    old = here.session().pins.of(REPO).pins["main"].commit
    here.session().pins.change(REPO, lambda lock: lock.with_pin("main", Pin("f" * 40, 0.0)))
    done = import_bundle(here.session(), good)
    pin = here.session().pins.of(REPO).pins["main"]
    assert (pin.commit, done.moved) == (old, {REPO: "f" * 40})
    assert hub.log() == []


def test_a_damaged_file_is_not_exported(here: Place) -> None:
    for blob in here.cache.glob("models--org--tiny/blobs/*"):
        if blob.stat().st_size > 100_000:
            content = bytearray(blob.read_bytes())
            content[5000] ^= 1
            blob.write_bytes(content)
    with pytest.raises(WeightsError, match="is not what the lock says"):
        exported(here)
    assert [path.name for path in here.folder.parent.iterdir()] == ["here"]


def test_what_is_missing_is_named(bare: Place, url: UrlNeed) -> None:
    for need in (NEED, url):
        with pytest.raises(WeightsError, match="lacks") as caught:
            exported(bare, need)
        assert "cvl models pull" in caught.value.hint


def test_a_file_that_is_there_is_kept(here: Place) -> None:
    path = exported(here)
    before = path.read_bytes()
    path.write_bytes(b"mine")
    with pytest.raises(TargetExistsError):
        exported(here)
    assert path.read_bytes() == b"mine"
    export(here.session(), [NEED], path, overwrite=True)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_is_told_first(here: Place) -> None:
    for path in (here.folder, here.folder / "nowhere" / "b.tar"):
        with pytest.raises(CvlError, match="cannot be a bundle"):
            export(here.session(), [NEED], path, overwrite=True)


def test_a_commit_that_is_known_cannot_be_told_anew(here: Place, good: Path) -> None:
    """What is in the lock was seen on the hub."""
    commit = here.session().pins.of(REPO).pins["main"].commit
    other = RepoFile(9, git="1" * 40)
    here.session().pins.change(
        REPO, lambda lock: lock.with_files(commit, {**lock.files[commit], "config.json": other})
    )
    with pytest.raises(InputError, match="says other things"):
        import_bundle(here.session(), good)


def test_what_is_no_file_is_told(tmp_path: Path, bare: Place) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, text in ((tmp_path / "no", "cannot be read"), (tmp_path, "regular|cannot be read"),
                       (tmp_path / "pipe", "no regular file")):  # fmt: skip
        with pytest.raises(InputError, match=text):
            import_bundle(bare.session(), path)


def test_memory_does_not_grow_with_the_bundle(tmp_path: Path) -> None:
    """64 MB of a sparse file, written and read."""
    import tracemalloc

    size = 64 << 20
    source = tmp_path / "zeros"
    with source.open("wb") as stream:
        stream.truncate(size)
    digest = hashlib.sha256()
    for _ in range(64):
        digest.update(bytes(1 << 20))
    url = BundledUrl("zeros", "https://example.com/zeros", digest.hexdigest(), size)
    tracemalloc.start()
    write_bundle(
        tmp_path / "b.tar", Bundle(urls=(url,)), {url.sha256: source}, lambda n: None, replace=True
    )
    read_bundle(tmp_path / "b.tar", lambda n: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_sizes_of_more_than_8_gib_are_read_by_other_programs() -> None:
    info = tarfile.TarInfo.frombuf(form.header("x", 20 << 30), "utf-8", "strict")
    assert (info.size, info.type) == (20 << 30, tarfile.REGTYPE)
    small = tarfile.TarInfo.frombuf(form.header("x", 7), "utf-8", "strict")
    assert (small.size, small.mode, small.name) == (7, 0o444, "x")


def test_from_one_machine_to_a_run_on_another(
    hub: Hub, here: Place, bare: Place, tmp_path: Path
) -> None:
    here.example(MANIFEST)
    path = tmp_path / "b.tar"
    done = here.cvl("models", "export", "heavy", "-o", str(path), "--json")
    told = json.loads(done.stdout)["data"]
    assert (done.returncode, told["weights"][0]["files"]) == (0, 3), done.stderr
    hub.forget()
    alone = {"HF_HUB_OFFLINE": "1", "DOCKER_HOST": f"unix://{tmp_path}/no.sock", "UV_OFFLINE": "1"}
    done = bare.cvl("models", "import", str(path), "--json", **alone)
    told = json.loads(done.stdout)["data"]
    assert (done.returncode, told["weights"][0]["weights"]) == (0, REPO), done.stderr
    shutil.copytree(STUBS / "weighted", bare.folder / "examples" / "weighted")
    run = ("run", "weighted", "predict", "--offline", "-o", "seen.json")
    done = bare.cvl(*run, "--engine", "venv", "--trust", **alone)
    assert done.returncode == 0, done.stderr
    seen = json.loads((bare.folder / "seen.json").read_text())["files"]
    digest = hashlib.sha256(bytes(model()["model.safetensors"])).hexdigest()  # type: ignore[arg-type]
    assert digest in seen.values() and hub.log() == []


MANIFEST = """\
name: heavy
summary: Has weights
license: {code: Apache-2.0}
weights: [{repo: org/tiny, revision: main, files: ["*.json", "*.safetensors"], size_gb: 0.1}]
inputs: {text: {type: string, default: hi}}
outputs: {result: {type: file, default: result.txt}}
"""
