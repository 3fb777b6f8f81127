"""FLAC and Ogg (Vorbis, Opus, FLAC, Speex, Theora) files.

Sources: RFC 9639 (FLAC), RFC 3533 (Ogg), the Vorbis I and Theora I specifications, RFC 7845 (Opus).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .info import MediaInfo
from .reader import TRACK_LIMIT, BoundedReader
from .tracks import Track, info_of_tracks

_TAIL_BYTES = 256 << 10
_METADATA_BLOCKS = 1000
_NO_PACKET_ENDS = 0xFFFFFFFFFFFFFFFF


class _Stream(NamedTuple):
    """A logical stream: its first packet's facts; delay and shift are for its granule position."""

    track: Track
    rate: float
    delay: int = 0
    shift: int = 0


class _Page(NamedTuple):
    flags: int
    granule: int
    serial: int
    start: int
    end: int


def inspect_flac(reader: BoundedReader, start: int) -> MediaInfo:
    """Describe a FLAC file by its stream information block (RFC 9639, 8.2).

    Raises MediaError where its metadata or its first frame lies beyond the end of the file.
    """
    head, info = reader.unpack(">4xI34s", start)
    if head >> 24 & 0x7F or head & 0xFFFFFF != 34:
        raise reader.damaged("it does not start with its stream information")
    _skip_metadata(reader, start + 4)
    track = _flac_track(info)
    if track is None:
        raise reader.damaged("it states a sample rate of 0 Hz")
    return info_of_tracks("flac", "audio/flac", [track])


def _skip_metadata(reader: BoundedReader, at: int) -> None:
    for _ in range(_METADATA_BLOCKS):
        reader.step()
        head = reader.unpack(">I", at)[0]
        at += 4 + (head & 0xFFFFFF)
        if head >> 31:
            break
    if at + 2 > reader.size:
        raise reader.truncated("it ends before its first audio frame")


def _flac_track(info: bytes) -> Track | None:
    """Read 20 bits of rate, 3 of channels, 5 of depth and 36 of length in samples."""
    packed = int.from_bytes(info[10:18], "big")
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    duration = samples / rate if rate and samples else None
    channels = (packed >> 41 & 7) + 1
    return Track("audio", "flac", duration, sample_rate=rate, channels=channels) if rate else None


def inspect_ogg(reader: BoundedReader) -> MediaInfo:
    """Describe an Ogg file (`ogv` where it has pictures) by its first and last pages.

    The duration is the end of the longest stream within the last 256 KiB.
    Raises MediaError where no stream is one that cvl knows.
    """
    streams: dict[int, _Stream] = {}
    for page in _first_pages(reader):
        stream = _identify(reader.read(page.start, min(page.end - page.start, 128)))
        if stream:
            streams[page.serial] = stream
    if not streams:
        raise reader.damaged("it has no audio or video stream")
    ends = _last_granules(reader)
    tracks = [_ogg_track(stream, ends.get(serial)) for serial, stream in streams.items()]
    video = any(track.kind == "video" for track in tracks)
    return info_of_tracks("ogv" if video else "ogg", f"{'video' if video else 'audio'}/ogg", tracks)


def _first_pages(reader: BoundedReader) -> Iterator[_Page]:
    """Yield the pages that begin a stream (RFC 3533, 6); they all come before any other."""
    at = 0
    for _ in range(TRACK_LIMIT):
        reader.step()
        magic, flags, granule, serial, segments = reader.unpack("<4sxBQI8xB", at)
        if magic != b"OggS":
            raise reader.damaged("its pages do not follow each other")
        lacing = reader.exactly(at + 27, segments)
        start = at + 27 + segments
        at = start + sum(lacing)
        if not flags & 2:
            return
        if at > reader.size:
            raise reader.truncated("it ends within its first page")
        yield _Page(flags, granule, serial, start, at)


def _identify(packet: bytes) -> _Stream | None:
    """Read an identification header; None for streams without sound or pictures (Skeleton)."""
    if packet[:7] == b"\x01vorbis" and len(packet) >= 16:
        rate = int.from_bytes(packet[12:16], "little")
        return _sound("vorbis", rate, packet[11]) if rate else None
    if packet[:8] == b"OpusHead" and len(packet) >= 12:
        stream = _sound("opus", 48000, packet[9])
        return stream._replace(delay=int.from_bytes(packet[10:12], "little"))
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 51:
        track = _flac_track(packet[17:51])
        return _Stream(track._replace(duration_s=None), track.sample_rate or 1) if track else None
    if packet[:8] == b"Speex   " and len(packet) >= 52:
        rate, channels = (int.from_bytes(packet[at : at + 4], "little") for at in (36, 48))
        return _sound("speex", rate, channels) if rate else None
    return _theora(packet) if packet[:7] == b"\x80theora" and len(packet) >= 42 else None


def _sound(codec: str, rate: int, channels: int) -> _Stream:
    return _Stream(Track("audio", codec, sample_rate=rate, channels=channels or None), rate)


def _theora(packet: bytes) -> _Stream | None:
    """Read picture size, frame rate and the granule's key-frame shift (Theora I, 6.2)."""
    width, height = (int.from_bytes(packet[at : at + 3], "big") for at in (14, 17))
    numerator, denominator = (int.from_bytes(packet[at : at + 4], "big") for at in (22, 26))
    if not numerator or not denominator:
        return None
    fps = numerator / denominator
    shift = int.from_bytes(packet[40:42], "big") >> 5 & 31
    track = Track("video", "theora", width=width, height=height, fps=fps)
    return _Stream(track, fps, shift=shift)


def _last_granules(reader: BoundedReader) -> dict[int, int]:
    """Return the last granule position of each stream serial near the end of the file."""
    origin = max(0, reader.size - _TAIL_BYTES)
    tail, ends = reader.read(origin, _TAIL_BYTES), {}
    at = tail.find(b"OggS")
    while at >= 0 and at + 18 <= len(tail):
        reader.step()
        granule = int.from_bytes(tail[at + 6 : at + 14], "little")
        if granule != _NO_PACKET_ENDS:
            ends[int.from_bytes(tail[at + 14 : at + 18], "little")] = granule
        at = tail.find(b"OggS", at + 4)
    return ends


def _ogg_track(stream: _Stream, granule: int | None) -> Track:
    if granule is None or granule >= 1 << 63:
        return stream.track
    if stream.track.kind == "video":
        frames = (granule >> stream.shift) + (granule & (1 << stream.shift) - 1)
        return stream.track._replace(duration_s=frames / stream.rate, frames=frames)
    return stream.track._replace(duration_s=max(granule - stream.delay, 0) / stream.rate)
