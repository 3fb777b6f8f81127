"""Matroska and WebM files.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska), the WebM container guidelines.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .info import LimitReached, MediaInfo
from .reader import TRACK_LIMIT, BoundedReader, printable
from .tracks import Track, info_of_tracks

_EBML, _DOC_TYPE, _SEGMENT = 0x1A45DFA3, 0x4282, 0x18538067
_INFO, _TIMESTAMP_SCALE, _DURATION = 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _TRACK_ENTRY = 0x1654AE6B, 0xAE
_CLUSTER, _TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0x1F43B675, 0xE7, 0xA3, 0xA0, 0xA1
_NUMBER, _TYPE, _CODEC, _DEFAULT_DURATION = 0xD7, 0x83, 0x86, 0x23E383
_VIDEO, _WIDTH, _HEIGHT = 0xE0, 0xB0, 0xBA
_AUDIO, _RATE, _CHANNELS = 0xE1, 0xB5, 0x9F
# Cues, Tags, Attachments, Chapters, SeekHead: with the ones above, what ends an unsized cluster.
_TOP_LEVEL = {_INFO, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0x114D9B74}
_BLOCKS_VISITED = 20_000

_CODECS = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    "V_MPEG4/ISO/SP": "mpeg4",
    "V_MPEG4/ISO/ASP": "mpeg4",
    "A_MPEG/L3": "mp3",
    "A_MPEG/L2": "mp2",
    "A_PCM/INT/LIT": "pcm",
    "A_PCM/INT/BIG": "pcm",
    "A_PCM/FLOAT/IEEE": "pcm_f32le",
}


class Element(NamedTuple):
    """One EBML element: its ID, where its payload starts and ends; end None if it has no size."""

    id: int
    start: int
    end: int | None


class _Entry(NamedTuple):
    number: int
    track: Track
    frame_s: float | None


class _Blocks:
    """What the clusters say: frames per track and the last timestamp, in the segment's ticks."""

    def __init__(self) -> None:
        self.frames: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.complete = True

    def add(self, number: int, timestamp: int) -> None:
        """Count one block of a track."""
        self.frames[number] = self.frames.get(number, 0) + 1
        self.last[number] = max(timestamp, self.last.get(number, 0))


def _number(reader: BoundedReader, at: int, keep_marker: bool) -> tuple[int, int, bool]:
    """Decode a variable-size integer (RFC 8794, 4): value, length in bytes, all value bits set."""
    data = reader.read(at, 8)
    if not data:
        raise reader.truncated("it ends in the middle of an element")
    length = 9 - data[0].bit_length()
    if length > 8 or len(data) < length:
        raise reader.damaged("it has an element with an impossible size or ID")
    value = int.from_bytes(data[:length], "big")
    bits = (1 << 7 * length) - 1
    return (value if keep_marker else value & bits), length, value & bits == bits


def _element(reader: BoundedReader, at: int) -> Element:
    reader.step()
    id, id_length, _ = _number(reader, at, True)
    size, size_length, unknown = _number(reader, at + id_length, False)
    start = at + id_length + size_length
    return Element(id, start, None if unknown else start + size)


def _children(reader: BoundedReader, start: int, end: int) -> Iterator[Element]:
    """Yield the sized elements between two offsets; MediaError where one overruns."""
    at = start
    while at < end:
        element = _element(reader, at)
        if element.end is None or element.end > end:
            raise reader.damaged(f"its element 0x{element.id:X} is larger than the one around it")
        yield element
        at = element.end


def _payload(reader: BoundedReader, element: Element, most: int) -> bytes:
    end = element.start if element.end is None else element.end
    return reader.read(element.start, min(end - element.start, most))


def _unsigned(reader: BoundedReader, element: Element) -> int:
    return int.from_bytes(_payload(reader, element, 8), "big")


def _float(reader: BoundedReader, element: Element) -> float:
    data = _payload(reader, element, 8)
    if len(data) not in (4, 8):
        return 0.0
    value: float = struct.unpack(">f" if len(data) == 4 else ">d", data)[0]
    return value if 0 < value < 1e15 else 0.0


def _string(reader: BoundedReader, element: Element) -> str:
    return printable(_payload(reader, element, 64).rstrip(b"\0")).strip("'")


def inspect_matroska(reader: BoundedReader) -> MediaInfo:
    """Describe a Matroska (`mkv`) or WebM (`webm`) file.

    Frames are counted by visiting block headers, up to 20,000 of them (else None); the duration
    is the segment's own, or the end of the last block where a live writer left none.
    Raises MediaError where an element overruns the file or there is no audio or video track.
    """
    header = _element(reader, 0)
    if header.id != _EBML or header.end is None:
        raise reader.damaged("it has no EBML header")
    doc_type = "matroska"
    for element in _children(reader, header.start, min(header.end, reader.size)):
        if element.id == _DOC_TYPE:
            doc_type = _string(reader, element)
    if doc_type not in ("matroska", "webm"):
        raise reader.damaged(f"its document type is '{doc_type}'")
    reader.label = "WebM file" if doc_type == "webm" else "Matroska file"
    return _segment_info(reader, header.end, "webm" if doc_type == "webm" else "mkv")


def _segment_info(reader: BoundedReader, at: int, format: str) -> MediaInfo:
    entries: list[_Entry] = []
    scale, ticks, blocks = 1_000_000, 0.0, _Blocks()
    for element in _top_level(reader, at, blocks):
        end = reader.size if element.end is None else element.end
        if element.id == _INFO:
            scale, ticks = _segment_timing(reader, element.start, end)
        elif element.id == _TRACKS and not entries:
            entries = _read_tracks(reader, element.start, end)
    if not entries:
        raise reader.truncated("it has no audio or video track")
    tick_s = scale / 1e9
    tracks = [_timed(entry, blocks, tick_s) for entry in entries]
    has_video = any(track.kind == "video" for track in tracks)
    family = "video" if has_video else "audio"
    mime = f"{family}/webm" if format == "webm" else f"{family}/x-matroska"
    return info_of_tracks(format, mime, tracks, ticks * tick_s or None)


def _top_level(reader: BoundedReader, at: int, blocks: _Blocks) -> Iterator[Element]:
    """Yield the segment's elements but the clusters, whose blocks are counted on the way."""
    segment = _element(reader, at)
    if segment.id != _SEGMENT:
        raise reader.damaged("it has no segment")
    if segment.end is not None and segment.end > reader.size:
        raise reader.truncated(
            f"it should end at byte {segment.end}, the file has {reader.size} bytes"
        )
    end, at = segment.end or reader.size, segment.start
    while at < end:
        element = _element(reader, at)
        if element.end is not None and element.end > end:
            raise reader.truncated(f"its last element should end at byte {element.end}")
        if element.id == _CLUSTER:
            at = _visit_cluster(reader, element, end, blocks)
            continue
        if element.end is None:
            raise reader.damaged(f"its element 0x{element.id:X} has no size")
        yield element
        at = element.end


def _visit_cluster(reader: BoundedReader, cluster: Element, limit: int, blocks: _Blocks) -> int:
    """Count a cluster's blocks and return where it ends."""
    if cluster.end is not None and not blocks.complete:
        return cluster.end
    end, at, timestamp = cluster.end or limit, cluster.start, 0
    while at < end:
        element = _element(reader, at)
        if cluster.end is None and element.id in _TOP_LEVEL:
            return at
        if element.end is None or element.end > end:
            raise reader.truncated("it ends in the middle of a block")
        if element.id == _TIMESTAMP:
            timestamp = _unsigned(reader, element)
        else:
            _visit_blocks(reader, element, timestamp, blocks)
        at = element.end
        if sum(blocks.frames.values()) >= _BLOCKS_VISITED:
            blocks.complete = False
            return cluster.end or limit
    return end


def _visit_blocks(reader: BoundedReader, element: Element, base: int, blocks: _Blocks) -> None:
    """Count the block that an element is or holds, if any."""
    if element.id == _SIMPLE_BLOCK:
        _visit_block(reader, element, base, blocks)
    elif element.id == _BLOCK_GROUP and element.end is not None:
        for child in _children(reader, element.start, element.end):
            if child.id == _BLOCK:
                _visit_block(reader, child, base, blocks)


def _visit_block(reader: BoundedReader, block: Element, base: int, blocks: _Blocks) -> None:
    """Count one block (RFC 9559, 10): track number, then a signed offset to its cluster's time."""
    number, length, _ = _number(reader, block.start, False)
    offset = reader.unpack(">h", block.start + length)[0]
    blocks.add(number, base + offset)


def _segment_timing(reader: BoundedReader, start: int, end: int) -> tuple[int, float]:
    """Return nanoseconds per tick and the duration in ticks (0.0 where it is not given)."""
    scale, ticks = 1_000_000, 0.0
    for element in _children(reader, start, end):
        if element.id == _TIMESTAMP_SCALE:
            scale = _unsigned(reader, element) or scale
        elif element.id == _DURATION:
            ticks = _float(reader, element)
    return scale, ticks


def _read_tracks(reader: BoundedReader, start: int, end: int) -> list[_Entry]:
    entries: list[_Entry] = []
    for element in _children(reader, start, end):
        if element.id != _TRACK_ENTRY or element.end is None:
            continue
        if len(entries) >= TRACK_LIMIT:
            raise LimitReached(f"is not a {reader.label} that can be checked: too many tracks")
        entry = _read_track(reader, element.start, element.end)
        if entry:
            entries.append(entry)
    return entries


def _read_track(reader: BoundedReader, start: int, end: int) -> _Entry | None:
    """Read a track entry (RFC 9559, 5.1.4.1); None for subtitles and the like."""
    parts = {element.id: element for element in _children(reader, start, end)}
    values = {key: _unsigned(reader, parts[key]) for key in (_NUMBER, _TYPE) if key in parts}
    kind = {1: "video", 2: "audio"}.get(values.get(_TYPE, 0))
    if kind is None:
        return None
    codec = _codec(_string(reader, parts[_CODEC])) if _CODEC in parts else None
    frame_s = None
    if _DEFAULT_DURATION in parts:
        frame_s = _unsigned(reader, parts[_DEFAULT_DURATION]) / 1e9 or None
    track = _picture(reader, parts, codec) if kind == "video" else _sound(reader, parts, codec)
    return _Entry(values.get(_NUMBER, 0), track, frame_s)


def _codec(id: str) -> str:
    """Return ffmpeg's name for a codec ID: `V_VP9` is vp9, `A_AAC/MPEG4/LC` is aac."""
    return _CODECS.get(id) or id[2:].split("/")[0].lower()


def _details(reader: BoundedReader, group: Element | None) -> dict[int, Element]:
    if group is None or group.end is None:
        return {}
    return {element.id: element for element in _children(reader, group.start, group.end)}


def _picture(reader: BoundedReader, parts: dict[int, Element], codec: str | None) -> Track:
    details = _details(reader, parts.get(_VIDEO))
    size = [_unsigned(reader, details[id]) if id in details else 0 for id in (_WIDTH, _HEIGHT)]
    return Track("video", codec, width=size[0] or None, height=size[1] or None)


def _sound(reader: BoundedReader, parts: dict[int, Element], codec: str | None) -> Track:
    """8000 Hz and one channel are the defaults of RFC 9559, 5.1.4.1.29."""
    details = _details(reader, parts.get(_AUDIO))
    rate = int(_float(reader, details[_RATE])) if _RATE in details else 8000
    channels = _unsigned(reader, details[_CHANNELS]) if _CHANNELS in details else 1
    return Track("audio", codec, sample_rate=rate or None, channels=channels or None)


def _timed(entry: _Entry, blocks: _Blocks, tick_s: float) -> Track:
    """Add what the blocks say of a track; nothing but the stated rate if not all were visited."""
    fps = 1 / entry.frame_s if entry.frame_s and entry.track.kind == "video" else None
    if not blocks.complete or entry.number not in blocks.frames:
        return entry.track._replace(fps=fps)
    frames, last_s = blocks.frames[entry.number], blocks.last[entry.number] * tick_s
    if entry.track.kind == "audio":
        return entry.track._replace(duration_s=last_s + (entry.frame_s or 0))
    if fps is None and frames > 1 and last_s > 0:
        fps = (frames - 1) / last_s
    return entry.track._replace(duration_s=last_s + (1 / fps if fps else 0), frames=frames, fps=fps)
