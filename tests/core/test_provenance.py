"""The statement and its place in a file: nothing else of the file changes, and nothing that a file
may hold in its place does harm."""

from __future__ import annotations

import io
import json
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cvl.core.media import inspect
from cvl.core.provenance import (
    MAX_PAYLOAD,
    Patch,
    ProvenanceError,
    decode,
    encode,
    patch_for,
    payload_in,
)
from cvl.core.provenance.sidecar import sidecar_name
from tests.support.statements import decoded, media, statement

KINDS = ["mp4", "mov", "m4a", "wav", "png"]
PAYLOAD = encode(statement())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("media")
    return {kind: media(folder, f"a.{kind}").read_bytes() for kind in KINDS}


def plan(data: bytes, payload: bytes = PAYLOAD) -> Patch | None:
    return patch_for(io.BytesIO(data), len(data), payload)


def read(data: bytes) -> bytes | None:
    return payload_in(io.BytesIO(data), len(data))


def apply(data: bytes, patch: Patch) -> bytes:
    start = bytearray(data[: patch.cut])
    start[patch.head_at : patch.head_at + len(patch.head)] = patch.head
    return bytes(start) + patch.tail


def put(data: bytes, payload: bytes = PAYLOAD) -> bytes:
    patch = plan(data, payload)
    assert patch is not None
    return apply(data, patch)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_in_is_read_and_the_media_are_the_same(
    kind: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    data = files[kind]
    marked = put(data)
    assert (read(data), read(marked)) == (None, PAYLOAD)
    (tmp_path / f"a.{kind}").write_bytes(data)
    (tmp_path / f"b.{kind}").write_bytes(marked)
    before, after = decoded(tmp_path / f"a.{kind}"), decoded(tmp_path / f"b.{kind}")
    assert after == before
    assert kind == "wav" or after[1] == ""  # of any WAV, ffmpeg says that it guessed a layout
    assert inspect(io.BytesIO(marked), len(marked)) == inspect(io.BytesIO(data), len(data))


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_a_video_that_starts_fast_still_does(kind: str, files: dict[str, bytes]) -> None:
    marked = put(files[kind])
    assert inspect(io.BytesIO(marked), len(marked)).faststart is True
    assert marked.startswith(files[kind])


def test_other_readers_take_a_marked_wav_and_png(files: dict[str, bytes]) -> None:
    with wave.open(io.BytesIO(put(files["wav"]))) as stream:
        assert stream.getnframes() == 6400
    with Image.open(io.BytesIO(put(files["png"]))) as image:
        image.load()
        assert image.info["cvl"] == PAYLOAD.decode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, MAX_PAYLOAD])
def test_of_any_length_up_to_the_most(kind: str, length: int, files: dict[str, bytes]) -> None:
    assert read(put(files[kind], b"x" * length)) == b"x" * length
    assert plan(files[kind], b"x" * (MAX_PAYLOAD + 1)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_of_several_counts(kind: str, files: dict[str, bytes]) -> None:
    assert read(put(put(files[kind], b"first"), b"second")) == b"second"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_in_order_is_left_alone(kind: str, files: dict[str, bytes]) -> None:
    data = files[kind]
    for harmed in (data[:-1], data[: len(data) // 2], data + b"\0\0\0", data[:12], b""):
        assert plan(harmed) is None, len(harmed)


def test_what_is_found_from_the_end_of_a_file_stays_there(files: dict[str, bytes]) -> None:
    endless = files["mp4"] + struct.pack(">I4s", 0, b"free")
    indexed = files["mp4"] + struct.pack(">I4s", 8, b"mfra")
    assert plan(endless) is None
    assert plan(indexed) is None
    wide = files["mp4"] + struct.pack(">I4sQ", 1, b"free", 16)
    assert read(put(wide)) == PAYLOAD


def test_a_wav_without_sizes_or_with_long_ones_is_left_alone(files: dict[str, bytes]) -> None:
    data = files["wav"]
    assert plan(data[:4] + b"\xff\xff\xff\xff" + data[8:]) is None
    assert plan(b"RF64" + data[4:]) is None


@pytest.mark.parametrize("data", [b"plain text", b"\xff\xd8\xff\xe0", b"OggS\0\x02", b"{}"])
def test_other_kinds_have_no_place(data: bytes) -> None:
    assert plan(data) is None
    assert read(data) is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_harmed_files_are_read_without_a_crash_and_never_marked_wrongly(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    harmed = bytearray(put(files[kind]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(harmed) - 1))
        harmed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    found = read(bytes(harmed))
    assert found is None or len(found) <= MAX_PAYLOAD
    patch = plan(bytes(harmed), b"again")
    assert patch is None or read(apply(bytes(harmed), patch)) == b"again"


@settings(max_examples=200)
@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x18ftypisom", b""]),
       st.binary(max_size=300))  # fmt: skip
def test_any_bytes_are_read_without_a_crash(head: bytes, rest: bytes) -> None:
    read(head + rest)
    plan(head + rest)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), JSON, max_size=4))
def test_a_statement_comes_back_and_equal_ones_have_equal_bytes(
    arguments: dict[str, object],
) -> None:
    made_by = statement(arguments=arguments, files={})
    assert decode(encode(made_by)) == made_by
    turned = statement(arguments=dict(reversed(arguments.items())), files={})
    assert encode(turned) == encode(made_by)
    assert encode(made_by).isascii()


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProvenanceError):
        decode(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"example": "../../etc"},
        {"example": "--help"},
        {"outputs": {"result": "a/b"}},
        {"output": "other"},
        {"seed": -1},
        {"seed": 1 << 40},
        {"steps": {}},
        {"arguments": {"--output": "x"}},
        {"arguments": {"file": "x"}},
        {"arguments": {"x": float("nan")}},
    ],
)
def test_a_statement_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProvenanceError):
        decode(encode(statement(**changes)))
    text = json.loads(PAYLOAD)
    text["files"]["file"][0]["sha256"] = "../../../etc/passwd"
    with pytest.raises(ProvenanceError):
        decode(json.dumps(text).encode())


def test_nesting_without_end_and_newer_statements_are_told() -> None:
    deep = PAYLOAD.replace(b'"speed":1.5', b'"speed":' + b"[" * 5000 + b"]" * 5000)
    with pytest.raises(ProvenanceError, match="damaged"):
        decode(deep)
    with pytest.raises(ProvenanceError, match="newer cvl"):
        decode(PAYLOAD.replace(b"provenance/1", b"provenance/2"))


@given(st.binary(min_size=1, max_size=255) | st.integers(80, 85).map(lambda n: b"\xe4\xb8\xad" * n))
def test_a_sidecars_name_is_legal_and_its_own(name: bytes) -> None:
    found = sidecar_name(name)
    assert len(found) <= 255 and found.endswith(b".cvl.json")
    assert sidecar_name(name + b"x" if len(name) < 255 else name[:-1]) != found


def test_a_statement_from_before_licences_is_read_and_says_that_nobody_knows_them() -> None:
    document = json.loads(encode(statement()))
    del document["steps"]["say"]["license"]
    found = decode(json.dumps(document).encode()).steps["say"].license
    assert (found.code, found.weights, found.commercial) == ("unknown", "unknown", None)
    document["steps"]["say"]["license"] = {"code": "MIT", "weights": "MIT", "commercial": "yes"}
    with pytest.raises(ProvenanceError):
        decode(json.dumps(document).encode())
