"""RIFF files: WAV (also RF64/BW64 and streamed ones) and AVI.

Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF), WAVEFORMATEXTENSIBLE
(Microsoft), EBU Tech 3306 (RF64), OpenDML AVI 1.02.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .info import LimitReached, MediaInfo
from .reader import TRACK_LIMIT, BoundedReader, printable
from .tracks import Track, info_of_tracks

# Streaming writers cannot go back to write sizes: they leave 0, the largest or nearly that.
_STREAMED_FROM = 0x7FFFF000
# Some writers count the file's headers in: such a file plays in full.
_SIZE_SLACK = 64
_CHUNKS_AFTER_DATA = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"fact", b"JUNK", b"cue ", b"iXML")

_PCM_CODECS = {8: "pcm_u8", 16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_s32le"}
_WAVE_CODECS = {
    0x02: "adpcm_ms",
    0x06: "pcm_alaw",
    0x07: "pcm_mulaw",
    0x11: "adpcm_ima_wav",
    0x50: "mp2",
    0x55: "mp3",
    0xFF: "aac",
    0x2000: "ac3",
    0xF1AC: "flac",
}
_FOURCC_CODECS = {
    b"H264": "h264",
    b"X264": "h264",
    b"AVC1": "h264",
    b"HEVC": "hevc",
    b"H265": "hevc",
    b"MJPG": "mjpeg",
    b"XVID": "mpeg4",
    b"DIVX": "mpeg4",
    b"DX50": "mpeg4",
    b"FMP4": "mpeg4",
    b"MP4V": "mpeg4",
    b"FFV1": "ffv1",
    b"VP80": "vp8",
    b"VP90": "vp9",
    b"AV01": "av1",
    b"\0\0\0\0": "rawvideo",
}


class Chunk(NamedTuple):
    """One chunk: its code, where its payload starts and the payload's stated size (bytes)."""

    code: bytes
    start: int
    size: int


class _WaveFormat(NamedTuple):
    tag: int
    channels: int
    rate: int
    byte_rate: int
    block: int
    bits: int

    def codec(self) -> str:
        """Return ffmpeg's name of the codec."""
        if self.tag == 1:
            return _PCM_CODECS.get(self.bits, "pcm")
        if self.tag == 3:
            return "pcm_f64le" if self.bits == 64 else "pcm_f32le"
        return _WAVE_CODECS.get(self.tag, f"wave_0x{self.tag:04x}")


def chunks(reader: BoundedReader, start: int, end: int) -> Iterator[Chunk]:
    """Yield the chunks between two offsets; payloads are padded to even sizes."""
    while start + 8 <= end:
        reader.step()
        code, size = reader.unpack("<4sI", start)
        yield Chunk(code, start + 8, size)
        start += 8 + size + size % 2


def inspect_wav(reader: BoundedReader) -> MediaInfo:
    """Describe a WAV file; samples are counted by the data chunk, clipped to the file if streamed.

    Raises MediaError where fmt or data is missing or the data is longer than the file.
    """
    form: _WaveFormat | None = None
    sizes: dict[bytes, int] = {}
    for chunk in chunks(reader, 12, reader.size):
        if chunk.code == b"fmt ":
            form = _wave_format(reader, chunk)
        elif chunk.code == b"ds64":
            data_size, samples = reader.unpack("<8xQQ", chunk.start)
            sizes = {b"data": data_size, b"fact": samples}
        elif chunk.code == b"fact" and chunk.size >= 4:
            sizes.setdefault(b"fact", reader.unpack("<I", chunk.start)[0])
        elif chunk.code == b"data":
            if form is None:
                raise reader.damaged("its samples come before their format (fmt)")
            length = _data_length(reader, chunk, sizes.get(b"data", 0))
            return _wav_info(form, length, sizes.get(b"fact", 0))
    raise reader.truncated("it has no samples (data chunk)" if form else "it has no format (fmt)")


def _wave_format(reader: BoundedReader, chunk: Chunk) -> _WaveFormat:
    """Read WAVEFORMATEX; an extensible one (0xFFFE) has its tag in the first bytes of its GUID."""
    if chunk.size < 14:
        raise reader.damaged("its format (fmt) is too short")
    data = reader.exactly(chunk.start, min(chunk.size, 40)).ljust(26, b"\0")
    tag, channels = (int.from_bytes(data[at : at + 2], "little") for at in (0, 2))
    rate, byte_rate = (int.from_bytes(data[at : at + 4], "little") for at in (4, 8))
    block, bits = (int.from_bytes(data[at : at + 2], "little") for at in (12, 14))
    if tag == 0xFFFE:
        tag = int.from_bytes(data[24:26], "little")
    if not channels or not rate:
        raise reader.damaged(f"it states {channels} channels at {rate} Hz")
    return _WaveFormat(tag, channels, rate, byte_rate, block, bits)


def _data_length(reader: BoundedReader, chunk: Chunk, long_size: int) -> int:
    """Return the bytes of samples; long_size is what RF64 states outside the chunk."""
    size, available = chunk.size, reader.size - chunk.start
    if size == 0xFFFFFFFF and 0 < long_size < 1 << 63:
        size = long_size
    elif size >= _STREAMED_FROM and size > available:
        return available
    if size == 0 and reader.read(chunk.start, 4) not in _CHUNKS_AFTER_DATA:
        return available
    if size > available + _SIZE_SLACK:
        raise reader.truncated(f"it has {available} of the {size} bytes of samples it states")
    return min(size, available)


def _wav_info(form: _WaveFormat, length: int, fact_samples: int) -> MediaInfo:
    """Uncompressed samples have a fixed size; others state their number or their mean rate."""
    if form.tag in (1, 3, 6, 7) and form.block:
        duration: float | None = length // form.block / form.rate
    elif fact_samples:
        duration = fact_samples / form.rate
    else:
        duration = length / form.byte_rate if form.byte_rate else None
    track = Track("audio", form.codec(), duration, sample_rate=form.rate, channels=form.channels)
    return info_of_tracks("wav", "audio/wav", [track])


def inspect_avi(reader: BoundedReader) -> MediaInfo:
    """Describe an AVI file by its stream headers (hdrl); the pictures (movi) are not visited.

    Raises MediaError where the headers or the pictures are missing or cut.
    """
    tracks: list[Track] = []
    for code, chunk in _lists(reader, 12, reader.size):
        end = chunk.start + chunk.size
        if code == b"hdrl":
            tracks = _avi_tracks(reader, chunk.start + 4, min(end, reader.size))
        elif code == b"movi":
            if chunk.size not in (4, 0xFFFFFFFF) and end > reader.size:
                raise reader.truncated(
                    f"its pictures should end at byte {end}, the file has {reader.size} bytes"
                )
            if not tracks:
                raise reader.damaged("it has no audio or video stream")
            return info_of_tracks("avi", "video/x-msvideo", tracks)
    raise reader.truncated("it has no pictures (movi)")


def _lists(reader: BoundedReader, start: int, end: int) -> Iterator[tuple[bytes, Chunk]]:
    for chunk in chunks(reader, start, end):
        if chunk.code == b"LIST":
            yield reader.exactly(chunk.start, 4), chunk


def _avi_tracks(reader: BoundedReader, start: int, end: int) -> list[Track]:
    tracks: list[Track] = []
    for code, chunk in _lists(reader, start, end):
        if code != b"strl":
            continue
        if len(tracks) >= TRACK_LIMIT:
            raise LimitReached("is not an AVI that can be checked: too many streams")
        parts = {c.code: c for c in chunks(reader, chunk.start + 4, chunk.start + chunk.size)}
        track = _avi_track(reader, parts)
        if track:
            tracks.append(track)
    return tracks


def _avi_track(reader: BoundedReader, parts: dict[bytes, Chunk]) -> Track | None:
    """Read a stream header (strh) and its format (strf); None for subtitles and the like."""
    if b"strh" not in parts or b"strf" not in parts:
        raise reader.damaged("a stream has no header")
    kind, scale, rate, length = reader.unpack("<4s16xII4xI", parts[b"strh"].start)
    seconds = length * scale / rate if rate and length else None
    if kind == b"auds":
        form = _wave_format(reader, parts[b"strf"])
        return Track("audio", form.codec(), seconds, sample_rate=form.rate, channels=form.channels)
    if kind != b"vids":
        return None
    width, height, fourcc = reader.unpack("<4xii4x4s", parts[b"strf"].start)
    codec = _FOURCC_CODECS.get(fourcc.upper()) or printable(fourcc).strip("'")
    fps = rate / scale if rate and scale else None
    return Track("video", codec, seconds, abs(width), abs(height), length or None, fps)
