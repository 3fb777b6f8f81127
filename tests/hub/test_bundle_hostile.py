"""A bundle that is not in perfect order is refused, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cvl.core import bundle as form
from cvl.errors import InputError
from cvl.ops.weights.importing import import_bundle
from tests.hub.weights import Place
from tests.support.hub import Hub

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
