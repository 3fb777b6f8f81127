"""Where a statement goes in a file so that nothing else changes: a box at the end of an MP4, a
chunk at the end of a WAV, a text before the end of a PNG. Players skip all three.

Sources: ISO/IEC 14496-12 (4.2, 11.1: uuid), RIFF 1.0 (chunks), PNG third edition (11.3.3.4, iTXt).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cvl.core.media import HEAD_BYTES, MediaError, sniff
from cvl.core.media.isobmff_boxes import Box, box_at
from cvl.core.media.reader import BoundedReader
from cvl.core.media.riff import Chunk, chunks

MAX_PAYLOAD = 1 << 20
# Made once for this purpose; a version 4 UUID.
BOX_ID = bytes.fromhex("8f4c2b1e6d0a4e57b3f19c64d07a52e8")
CHUNK_ID = b"cvlp"
KEYWORD = b"cvl"
_TEXT_HEAD = KEYWORD + b"\0\0\0\0\0"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_MAX_RIFF = 0xFFFFFFFF


@dataclass(frozen=True)
class Patch:
    """How a file becomes one with a statement: its first `cut` bytes with `head` at `head_at`, then
    `tail`. `old_head` and `rest` are what was there, so that it can be undone."""

    cut: int
    tail: bytes
    rest: bytes = b""
    head_at: int = 0
    head: bytes = b""
    old_head: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of the file with the statement."""
        return self.cut + len(self.tail)


def patch_for(stream: BinaryIO, size: int, payload: bytes) -> Patch | None:
    """How to put `payload` into an open file of `size` bytes; None when its format has no place for
    it, or the file is not in such order that nothing else could change."""
    if not payload or len(payload) > MAX_PAYLOAD:
        return None
    try:
        reader, format = _opened(stream, size)
        if format in ("mp4", "mov"):
            return _box(reader, payload)
        if format == "wav":
            return _chunk(reader, payload)
        return _text(reader, payload) if format == "png" else None
    except (MediaError, struct.error, OverflowError):
        return None


def payload_in(stream: BinaryIO, size: int) -> bytes | None:
    """The last statement in an open file, as untrusted bytes; None when there is none."""
    try:
        reader, format = _opened(stream, size)
        places = _places(reader, format)
        found = None
        for place in places:
            found = place
        if found is None or not 0 < found[1] <= MAX_PAYLOAD:
            return None
        return reader.exactly(*found)
    except (MediaError, struct.error, OverflowError):
        return None


def _opened(stream: BinaryIO, size: int) -> tuple[BoundedReader, str]:
    reader = BoundedReader(stream, size)
    return reader, sniff(reader.read(0, HEAD_BYTES)) or ""


def _places(reader: BoundedReader, format: str) -> Iterator[tuple[int, int]]:
    """(offset, length) of every payload of ours, in order."""
    if format in ("mp4", "mov"):
        for box in _boxes(reader):
            if box.code == b"uuid" and reader.read(box.start, 16) == BOX_ID:
                yield box.start + 16, box.end - box.start - 16
    elif format == "wav":
        for chunk in _wav_chunks(reader):
            if chunk.code == CHUNK_ID:
                yield chunk.start, chunk.size
    elif format == "png":
        head = len(_TEXT_HEAD)
        for chunk in _png_chunks(reader):
            if chunk.code == b"iTXt" and reader.read(chunk.start, head) == _TEXT_HEAD:
                yield chunk.start + head, chunk.size - head


def _boxes(reader: BoundedReader) -> Iterator[Box]:
    """Top-level boxes; they must follow each other to the very end of the file."""
    at = 0
    while at < reader.size:
        box = box_at(reader, at, reader.size)
        if box.end > reader.size:
            raise reader.truncated("a box is longer than the file")
        yield box
        at = box.end


def _box(reader: BoundedReader, payload: bytes) -> Patch | None:
    """Not after a box that reaches to the end of the file, wherever that is, nor after an index
    of fragments (mfra), which is found from the end."""
    last, end, codes = 0, 0, set()
    for box in _boxes(reader):
        last, end = end, box.end
        codes.add(box.code)
    reaches_to_the_end = reader.unpack(">I", last)[0] == 0
    if b"moov" not in codes or b"mfra" in codes or reaches_to_the_end:
        return None
    tail = struct.pack(">I4s", 24 + len(payload), b"uuid") + BOX_ID + payload
    return Patch(reader.size, tail)


def _wav_chunks(reader: BoundedReader) -> Iterator[Chunk]:
    """Chunks of a WAV whose stated sizes are those of the file; a streamed one states none."""
    if reader.read(0, 4) != b"RIFF" or reader.unpack("<I", 4)[0] + 8 != reader.size:
        raise reader.damaged("its size is not what it states")
    end = 12
    for chunk in chunks(reader, 12, reader.size):
        end = chunk.start + chunk.size + chunk.size % 2
        if end > reader.size:
            break
        yield chunk
    if end != reader.size:
        raise reader.damaged("its chunks do not end where it does")


def _chunk(reader: BoundedReader, payload: bytes) -> Patch | None:
    if b"data" not in [chunk.code for chunk in _wav_chunks(reader)]:
        return None
    tail = struct.pack("<4sI", CHUNK_ID, len(payload)) + payload + b"\0" * (len(payload) % 2)
    total = reader.size + len(tail) - 8
    if total > _MAX_RIFF:
        return None
    old = reader.exactly(4, 4)
    return Patch(reader.size, tail, b"", 4, struct.pack("<I", total), old)


def _png_chunks(reader: BoundedReader) -> Iterator[Chunk]:
    """Chunks up to the end mark, with which the file must end."""
    at, code = 8, b""
    while code != b"IEND":
        reader.step()
        length, code = reader.unpack(">I4s", at)
        if not code.isalpha() or at + 12 + length > reader.size:
            raise reader.damaged("its parts do not follow each other")
        yield Chunk(code, at + 8, length)
        at += 12 + length
    if at != reader.size:
        raise reader.damaged("something comes after its end")


def _text(reader: BoundedReader, payload: bytes) -> Patch | None:
    for _ in _png_chunks(reader):
        pass
    cut = reader.size - len(_PNG_END)
    if reader.exactly(cut, len(_PNG_END)) != _PNG_END:
        return None
    body = b"iTXt" + _TEXT_HEAD + payload
    text = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return Patch(cut, text + _PNG_END, _PNG_END)
