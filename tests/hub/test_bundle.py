"""Weights go from one machine to another in a file: the same file each time, and nothing of a file
that is not in perfect order."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cvl.core import bundle as form
from cvl.core.bundle import Bundle, BundledUrl
from cvl.core.weights import RepoFile
from cvl.errors import CvlError, InputError, TargetExistsError, WeightsError
from cvl.ops.weights.exporting import export
from cvl.ops.weights.importing import import_bundle
from cvl.ops.weights.needs import Need, UrlNeed
from cvl.ops.weights.pulling import pull_url
from cvl.store.bundle_file import read_bundle, write_bundle
from cvl.store.pins import Pin
from tests.conftest import STUBS
from tests.hub.weights import NEED, REPO, Place, model
from tests.support.hub import Hub


@pytest.fixture(scope="module")
def url(hub: Hub) -> UrlNeed:
    release = hub.publish("v1/gfpgan.onnx", b"\x08\x07" + bytes(5000))
    return UrlNeed("gfpgan.onnx", release.url, release.sha256, release.size, "onnx")


def exported(place: Place, *needs: Need, name: str = "bundle.tar") -> Path:
    path = place.folder.parent / name
    export(place.session(), needs or (NEED,), path, overwrite=False)
    return path


@pytest.fixture(scope="module")
def good(pulled: Place, url: UrlNeed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a repo and a file from a URL."""
    place = Place(tmp_path_factory.mktemp("good") / "here", pulled.hub)
    shutil.copytree(pulled.folder, place.folder, symlinks=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        place.enter(monkeypatch)
        pull_url(place.session(), url)
        return exported(place, NEED, url)


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
    assert (pin.commit, pin.before, done.moved) == (old, "f" * 40, {REPO: "f" * 40})
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


Change = Callable[[bytes, dict[str, Any]], bytes]


def packed(manifest: dict[str, Any], blobs: bytes) -> bytes:
    """A tar with this manifest before what comes after the one of `good`."""
    text = json.dumps(manifest, sort_keys=True, indent=1).encode() + b"\n"
    body = form.header(form.MANIFEST, len(text)) + text + bytes(form.padding(len(text))) + blobs
    body = body.rstrip(b"\0")
    body += bytes(form.padding(len(body)))
    return body + form.ending(len(body))


def _manifest(content: bytes) -> tuple[dict[str, Any], int]:
    size = form.manifest_size(content[: form.BLOCK])
    text = content[form.BLOCK : form.BLOCK + size]
    return json.loads(text), form.BLOCK + size + form.padding(size)


def edited(**how: Any) -> Change:
    """With other values in the manifest: of the repo, or of the whole."""

    def change(content: bytes, manifest: dict[str, Any]) -> bytes:
        _, end = _manifest(content)
        target = manifest["repos"][0]
        for name, value in how.items():
            place = manifest if name in manifest else target
            place[name] = value(place[name]) if callable(value) else value
        return packed(manifest, content[end:])

    return change


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda files: {new if path == old else path: file for path, file in files.items()}


def path_to(new: str) -> Change:
    both = renamed("config.json", new)
    return edited(listing=both, wanted=both)


def at_blob(change: Callable[[bytearray, int], None]) -> Change:
    """With something done to the first blob, whose header begins at a place."""

    def how(content: bytes, manifest: dict[str, Any]) -> bytes:
        made = bytearray(content)
        change(made, _manifest(content)[1])
        return bytes(made)

    return how


def _header(kind: bytes, name: bytes = b"", link: bytes = b"") -> Change:
    def change(made: bytearray, at: int) -> None:
        block = made[at : at + 512]
        block[156:157] = kind
        if name:
            block[0:100] = name.ljust(100, b"\0")
        block[157:257] = link.ljust(100, b"\0")
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        made[at : at + 512] = block

    return at_blob(change)


def _flip(made: bytearray, at: int) -> None:
    made[at + 512 + 3] ^= 1


def _size(made: bytearray, at: int) -> None:
    made[at : at + 512] = form.header(made[at : at + 77].decode(), 1 << 45)


def _doubled(content: bytes, manifest: dict[str, Any]) -> bytes:
    end = _manifest(content)[1]
    size = int(content[end + 124 : end + 135], 8)
    one = content[end : end + 512 + size + form.padding(size)]
    return content[:end] + one + content[end:]


def _listing_of(**how: Any) -> Change:
    def change(files: dict[str, Any]) -> dict[str, Any]:
        return {**files, "config.json": {**files["config.json"], **how}}

    return edited(listing=change)


HOSTILE: dict[str, tuple[Change, str]] = {
    "empty": (lambda c, m: b"", "cut off"),
    "no tar": (lambda c, m: b"\x1f\x8b" + bytes(9000), "does not begin like one"),
    "cut in the manifest": (lambda c, m: c[:700], "cut off"),
    "cut in a blob": (lambda c, m: c[: len(c) // 2], "it was cut off"),
    "cut by a byte": (lambda c, m: c[:-1], "it was cut off"),
    "longer": (lambda c, m: c + bytes(10240), "bytes where"),
    "something at the end": (lambda c, m: c[:-5] + b"hello", "bytes where none are to be"),
    "another manifest": (edited(bundle=2), "another version"),
    "manifest of nonsense": (edited(repos=3), "damaged"),
    "more in the manifest": (edited(urls=lambda u: [{**u[0], "mode": 7}]), "damaged"),
    "a flipped bit": (at_blob(_flip), "is not what it is called"),
    "a huge size": (at_blob(_size), "is to be"),
    "a link": (_header(b"2", link=b"/etc/passwd"), "a link in it"),
    "a hard link": (_header(b"1", link=b"cvl-bundle.json"), "a hard link in it"),
    "a device": (_header(b"3"), "a device in it"),
    "a pipe": (_header(b"6"), "a pipe in it"),
    "a folder": (_header(b"5"), "a folder in it"),
    "a name that leads out": (_header(b"0", name=b"../../evil"), "../../evil where"),
    "an absolute name": (_header(b"0", name=b"/etc/cron.d/evil"), "/etc/cron.d/evil where"),
    "a long name": (_header(b"L", name=b"././@LongLink"), "where"),
    "extended headers": (_header(b"x", name=b"PaxHeaders/evil"), "where"),
    "a file twice": (_doubled, "bytes where"),
    "a path that leads out": (path_to("../../../../evil"), "names the file"),
    "an absolute path": (path_to("/etc/evil"), "names the file"),
    "a path of two kinds": (path_to("model.safetensors/config.json"), "do not fit together"),
    "a path with a newline": (path_to("a\nb"), "names the file"),
    "a path with backslashes": (path_to("..\\evil"), "names the file"),
    "an empty path": (path_to(""), "names the file"),
    "a repo that leads out": (edited(repo="../evil"), "no repo at a commit"),
    "a revision that leads out": (edited(revision="../../evil"), "no repo at a commit"),
    "an absolute revision": (edited(revision="/etc/evil"), "no repo at a commit"),
    "no commit": (edited(commit="main"), "no repo at a commit"),
    "a repo twice": (edited(repos=lambda r: r + r), "two commits of one revision"),
    "a wrong git name": (_listing_of(git="0" * 40), "is not what it is called"),
    "a digest of no file": (_listing_of(git="../x"), "without size or digest"),
    "a negative size": (_listing_of(size=-1), "without size or digest"),
    "sizes that differ": (_listing_of(size=5), ""),
    "wanted but not listed": (edited(wanted=lambda w: {**w, "x": "0" * 64}), "fit together"),
    "a URL that is none": (
        edited(urls=lambda u: [{**u[0], "url": "file:///etc/passwd"}]), "no file behind a URL",
    ),
    "a file that leads out": (
        edited(urls=lambda u: [{**u[0], "name": "../evil"}]), "no file behind a URL",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_and_leaves_nothing(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = Place(tmp_path / "place", Hub.__new__(Hub))
    monkeypatch.setenv("HF_HOME", str(place.folder / "hf"))
    monkeypatch.setenv("CVL_HOME", str(place.folder / "home"))
    content = good.read_bytes()
    change, expected = HOSTILE[name]
    hostile = tmp_path / "hostile.tar"
    hostile.write_bytes(change(content, _manifest(content)[0]))
    assert hostile.read_bytes() != content
    with pytest.raises(InputError) as caught:
        import_bundle(place.session(), hostile)
    assert caught.value.code == "bad_bundle" and expected in caught.value.message
    assert place.files() == set()
    assert {path.name for path in tmp_path.iterdir()} <= {"hostile.tar", "place"}


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
