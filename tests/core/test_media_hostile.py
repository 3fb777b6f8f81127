"""`cvl.core.media` stays quick, small and silent (but for MediaError) on hostile bytes."""

import io
import shutil
import struct
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cvl.core.media import MediaError, MediaInfo, inspect, sniff
from cvl.core.media.formats import FORMATS

MIB = 1 << 20
MOST_READ = 8 * MIB
MOST_SECONDS = 3.0  # of one processor; the slowest takes a third of that
SEEDS = (
    "a.mp4 -c:v libx264 -c:a aac -movflags +faststart",
    "b.mp4 -c:v libx264 -c:a aac -movflags frag_keyframe+empty_moov",
    "c.mov -c:v mpeg4 -c:a pcm_s16le",
    "d.mkv -c:v libx264 -c:a aac",
    "e.webm -c:v libvpx -c:a libopus",
    "f.avi -c:v mjpeg -c:a pcm_s16le",
    "g.ogv -c:v libtheora -c:a libvorbis",
    "h.wav",
    "i.wav -rf64 always",
    "j.mp3",
    "k.flac",
    "l.aac",
    "m.ogg -c:a libopus",
)
MAGICS = (
    b"\0\0\0\x18ftypisom", b"\0\0\0\x18ftypqt  ", b"\0\0\0\0moov", b"\x1a\x45\xdf\xa3",
    b"OggS\0\x02",
    b"RIFF\xff\xff\xff\xffWAVEfmt ", b"RF64\xff\xff\xff\xffWAVEds64", b"RIFF\0\0\0\0AVI LIST",
    b"fLaC",
    b"RIFF\xff\xff\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\xff\xd8\xff", b"GIF89a",
    b"BM", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"ID3\x04\0\0\0\0\0\0", b"\xff\xfb\x90\x64",
    b"\xff\xf1\x50\x80", b"{", b"[", b"<", b"#EXTM3U",
)  # fmt: skip


class SparseFile(io.RawIOBase):
    """A file of a claimed size: some bytes at its start, then the same pattern for ever."""

    def __init__(self, head: bytes, size: int, pattern: bytes = b"\0") -> None:
        self.head, self.size, self.pattern = head, size, pattern
        self.at = self.bytes_read = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        assert whence == 0 and 0 <= offset <= self.size
        self.at = offset
        return offset

    def read(self, length: int = -1) -> bytes:
        assert length >= 0, "reads must be bounded"
        length = max(0, min(length, self.size - self.at))
        data = self.head[self.at : self.at + length]
        at, missing = self.at + len(data), length - len(data)
        if missing:
            phase = (at - len(self.head)) % len(self.pattern)
            filler = self.pattern * (missing // len(self.pattern) + 2)
            data += filler[phase : phase + missing]
        self.at += length
        self.bytes_read += length
        return data


def survive(head: bytes, size: int | None = None, pattern: bytes = b"\0") -> MediaInfo | str:
    """Inspect hostile bytes within the bounds; return the description or the error's sentence."""
    stream = SparseFile(head, len(head) if size is None else size, pattern)
    start = time.process_time()
    result: MediaInfo | str
    try:
        result = inspect(cast(BinaryIO, stream), stream.size)
        assert result.format in FORMATS
    except MediaError as error:
        result = str(error)
        assert result.isprintable() and result.isascii()
    assert time.process_time() - start < MOST_SECONDS
    assert stream.bytes_read <= MOST_READ
    return result


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Small real files of every format that cvl parses."""
    if shutil.which("ffmpeg") is None:
        pytest.fail("ffmpeg is not installed")
    folder = tmp_path_factory.mktemp("seeds")
    for row in SEEDS:
        make_seed(folder, row)
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        Image.effect_noise((40, 30), 50).save(folder / f"image.{format.lower()}", format)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def make_seed(folder: Path, row: str) -> None:
    name, *options = row.split()
    inputs = ["-f", "lavfi", "-i", "sine=sample_rate=44100:duration=0.3"]
    if name.endswith(("mp4", "mov", "mkv", "webm", "avi", "ogv")):
        inputs += ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=25:duration=0.3"]
    command = ["ffmpeg", "-v", "error", "-nostdin", *inputs, *options, str(folder / name)]
    subprocess.run(command, check=True, timeout=60)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MAGICS), st.binary(max_size=400), st.integers(0, 1 << 36))
def test_random_bytes_after_a_real_magic_raise_only_media_error(
    magic: bytes, rest: bytes, extra: int
) -> None:
    survive(magic + rest)
    survive(magic + rest, len(magic + rest) + extra)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_sniff_takes_any_bytes(head: bytes) -> None:
    assert sniff(head) in {None, *FORMATS}


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_mutated_real_files_raise_only_media_error(seeds: list[bytes], data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from(seeds)))
    # Headers are at the ends of the file: that is where mutations matter.
    near = st.integers(0, min(700, len(file) - 1))
    places = st.one_of(near, near.map(lambda at: len(file) - 1 - at))
    words = st.sampled_from((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"))
    patches = st.lists(st.tuples(places, words | st.binary(min_size=1, max_size=8)), max_size=6)
    for at, patch in data.draw(patches):
        file[at : at + len(patch)] = patch
    cut = data.draw(st.just(0) | st.integers(0, len(file) - 1))
    survive(bytes(file[: len(file) - cut]))


def test_every_cut_of_a_real_file_is_described_or_refused(seeds: list[bytes]) -> None:
    for file in seeds:
        for length in {*range(1, min(len(file), 120)), *range(120, len(file), len(file) // 40 + 1)}:
            survive(file[:length])


def box(code: bytes, payload: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I4s", len(payload) + 8 if size is None else size, code) + payload


FTYP = box(b"ftyp", b"isom\0\0\0\0isom")
EBML = bytes.fromhex("1a45dfa3 88 4282 85") + b"webm\0"
SEGMENT = bytes.fromhex("18538067 01ffffffffffffff")
GIB = 1 << 30
FLOODS = {
    "boxes of 8 bytes": (FTYP, b"\0\0\0\x08free"),
    "tracks in a 4 GiB index": (FTYP + struct.pack(">I4s", 0xFFFFFFFF, b"moov"), b"\0\0\0\x08trak"),
    "fragments": (FTYP + box(b"moov", box(b"mvex")), b"\0\0\0\x08moof"),
    "empty elements": (EBML + SEGMENT, b"\xec\x80"),
    "empty clusters": (EBML + SEGMENT, b"\x1f\x43\xb6\x75\x80"),
    "blocks": (EBML + SEGMENT + b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7, b"\xa3\x84\x81\0\0\0"),
    "empty chunks": (b"RIFF\0\0\0\0WAVE", b"JUNK\0\0\0\0"),
    "empty lists": (b"RIFF\0\0\0\0AVI ", b"LIST\x04\0\0\0strl"),
    "png parts": (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(17), b"\0\0\0\0tEXt\0\0\0\0"),
    "jpeg fill bytes": (b"\xff\xd8\xff", b"\xff"),
    "jpeg restart markers": (b"\xff\xd8", b"\xff\xd0"),
    "gif blocks": (b"GIF89a\x08\0\x08\0\0\0\0!\xfe", b"\x01x"),
    "webp parts": (b"RIFF\xf0\xff\xff\x3fWEBP", b"ANMF\0\0\0\0"),
    "tiff fields": (b"II+\0\x08\0\0\0\x10" + bytes(7), b"\xff\x0f\0\0\0\0\0\0"),
    "ogg pages": (b"", b"OggS\0\x02" + bytes(20) + b"\0"),
    "mp3 half-frames": (b"ID3\x04\0\0\0\0\0\0", b"\xff\xfb"),
    "tiny aac frames": (b"", b"\xff\xf1\x50\x80\x00\xff\xfc"),
    "flac metadata": (b"fLaC\0\0\0\x22" + b"\x0a\xc4\x42\xf0" * 8 + b"\0\0", b"\x01\0\0\0"),
    "nested brackets": (b"", b"["),
    "0xFF": (b"", b"\xff"),
    "text": (b"", b"<!-- "),
}


@pytest.mark.parametrize("size", [2 * MIB, 10 * GIB])
@pytest.mark.parametrize("flood", FLOODS)
def test_flood_of_tiny_parts_ends_early(flood: str, size: int) -> None:
    head, pattern = FLOODS[flood]
    survive(head, size, pattern)


CLAIMS = {
    "mp4 time table": FTYP
    + box(b"moov", box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + b"vide" + bytes(12))))),
    "flac picture of 16 MiB": b"fLaC\0\0\0\x22" + b"\x0a\xc4\x42\xf0" * 8 + b"\0\0\x06\xff\xff\xff",
    "id3 tag of 256 MiB": b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
    "wav format of 4 GiB": b"RIFF\0\0\0\0WAVEfmt \xf0\xff\xff\xff",
    "ebml string of 1 PiB": b"\x1a\x45\xdf\xa3\x01\xff\0\0\0\0\0\0\x42\x82\x03\0\0\0\0\0\0",
    "png text of 4 GiB": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(17) + b"\xff\xff\xff\xfezTXt",
    "tiff fields": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 8,
    "bmp of 2^31 pixels": b"BM"
    + bytes(8)
    + struct.pack("<IIiiHHI", 54, 40, -(1 << 31), 1, 1, 24, 0),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_claimed_sizes_are_not_allocated(claim: str) -> None:
    survive(CLAIMS[claim], 10 * GIB)
    assert peak_memory(CLAIMS[claim], 10 * GIB) < 2 * MIB


def peak_memory(head: bytes, size: int, pattern: bytes = b"\0") -> int:
    """Return the most bytes that inspection held at once (tracing is slow)."""
    stream = SparseFile(head, size, pattern)
    tracemalloc.start()
    try:
        with pytest.raises(MediaError):
            inspect(cast(BinaryIO, stream), stream.size, expect="json")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flood", ["boxes of 8 bytes", "blocks", "gif blocks", "ogg pages", "0xFF"])
def test_memory_stays_small_in_a_flood(flood: str) -> None:
    head, pattern = FLOODS[flood]
    assert peak_memory(head, 4 * MIB, pattern) < 32 * MIB


def test_dense_json_is_not_parsed_into_much_memory() -> None:
    text = b"[" + b"[]," * (MIB // 3 - 1) + b"[]]"
    assert len(text) <= MIB
    tracemalloc.start()
    try:
        assert inspect(io.BytesIO(text), len(text)).kind == "json"
        assert tracemalloc.get_traced_memory()[1] < 48 * MIB
    finally:
        tracemalloc.stop()


def test_headers_of_a_10_gb_file_are_all_that_is_read() -> None:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 48000, 192000, 4, 16)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, 10 * GIB, 10 * GIB - 80, 0, 0)
    head = b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff"
    stream = SparseFile(head, 10 * GIB)
    info = inspect(cast(BinaryIO, stream), stream.size)
    assert info.duration_s == pytest.approx((10 * GIB - 80) / 192000, abs=1e-3)
    assert stream.bytes_read < 10_000


def test_control_characters_of_a_file_are_escaped_in_its_error() -> None:
    result = survive(FTYP + box(b"\x1b[2J", size=4000))
    assert result == "is a truncated MP4: its box '\\x1b[2J' should end at byte 4020, " + (
        "the file has 28 bytes"
    )


def test_a_short_stream_is_a_truncated_file() -> None:
    data = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
    with pytest.raises(MediaError, match=r"^is a truncated PNG"):
        inspect(io.BytesIO(data), 5000)
