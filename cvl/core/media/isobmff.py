"""ISO base media files (MP4, M4A, fragmented MP4) and QuickTime movies.

Sources: ISO/IEC 14496-12 (boxes; clause numbers in the docstrings), 14496-14 (mp4a and esds),
QuickTime File Format (sound description versions 1 and 2).
"""

from __future__ import annotations

from typing import NamedTuple

from .info import LimitReached, MediaInfo
from .isobmff_boxes import Box, box_at, child_boxes, find
from .isobmff_codecs import sample_entry
from .isobmff_fragments import Fragments
from .reader import TRACK_LIMIT, BoundedReader, printable
from .tracks import Track, info_of_tracks

_UNKNOWN_DURATIONS = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_TABLE_ENTRIES_READ = 65_536


class _Movie(NamedTuple):
    tracks: dict[int, Track]
    timescales: dict[int, int]
    duration_s: float | None
    boxes: dict[bytes, Box]


def inspect_isobmff(reader: BoundedReader, format: str) -> MediaInfo:
    """Describe an MP4 or QuickTime file from its index.

    format: `mp4` or `mov`, as sniffed; becomes `m4a` where an MP4 has sound and no pictures.
    Raises MediaError where the file is cut, has no index or no audio or video track.
    """
    boxes = _top_level(reader)
    codes = [box.code for box in boxes]
    if b"moov" not in codes:
        raise reader.truncated("it has no index (moov), so its writer did not finish or it was cut")
    if b"mdat" not in codes and b"moof" not in codes:
        raise reader.truncated("it has an index but no media data (mdat)")
    movie = _read_movie(reader, boxes[codes.index(b"moov")])
    if not movie.tracks:
        raise reader.damaged("it has no audio or video track")
    movie = _with_fragments(reader, movie, boxes)
    tracks = list(movie.tracks.values())
    if format == "mp4" and all(track.kind == "audio" for track in tracks):
        format = "m4a"
    first_data = codes.index(b"mdat") if b"mdat" in codes else len(codes)
    faststart = codes.index(b"moov") < first_data
    return info_of_tracks(format, _mime(format), tracks, movie.duration_s, faststart)


def _mime(format: str) -> str:
    if format == "m4a":
        return "audio/mp4"
    return "video/quicktime" if format == "mov" else "video/mp4"


def _top_level(reader: BoundedReader) -> list[Box]:
    """List the top-level boxes; every one must lie within the file (4.2, 8.1.1)."""
    boxes: list[Box] = []
    at, has_index = 0, False
    while at < reader.size:
        if has_index and _is_padding(reader, at):
            break
        box = box_at(reader, at, reader.size)
        if box.end > reader.size:
            raise reader.truncated(_cut_box(box, reader.size))
        boxes.append(box)
        at, has_index = box.end, has_index or box.code == b"moov"
    if boxes and boxes[-1].code == b"moof":
        raise reader.truncated("its last fragment has no media data (mdat)")
    return boxes


def _is_padding(reader: BoundedReader, at: int) -> bool:
    """Tell whether the rest is not boxes: editors leave zeros or signatures after the last one."""
    head = reader.read(at, 8)
    return len(head) < 8 or not head[4:].isascii() or not any(head)


def _cut_box(box: Box, size: int) -> str:
    part = {b"mdat": "media data (mdat)", b"moov": "index (moov)"}.get(box.code)
    part = part or f"box {printable(box.code)}"
    return f"its {part} should end at byte {box.end}, the file has {size} bytes"


def _read_movie(reader: BoundedReader, moov: Box) -> _Movie:
    """Read the tracks of the movie box (8.2) and the duration of its header (8.2.2)."""
    movie = _Movie({}, {}, None, {})
    for box in child_boxes(reader, moov.start, moov.end):
        if box.code == b"trak":
            _read_track(reader, box, movie)
        elif box.code in (b"mvhd", b"mvex"):
            movie.boxes.setdefault(box.code, box)
        elif box.code == b"cmov":
            raise reader.damaged("its index is compressed (cmov), which players no longer read")
    if b"mvhd" not in movie.boxes:
        return movie
    timescale, duration = _timing(reader, movie.boxes[b"mvhd"])
    return movie._replace(duration_s=_seconds(duration, timescale))


def _timing(reader: BoundedReader, box: Box) -> tuple[int, int]:
    """Return the timescale (ticks per second) and duration (ticks) of mvhd or mdhd (8.4.2)."""
    version = reader.unpack("B", box.start)[0]
    form, skip = (">IQ", 20) if version == 1 else (">II", 12)
    timescale, duration = reader.unpack(form, box.start + skip)
    return timescale, duration


def _seconds(ticks: int, timescale: int) -> float | None:
    return ticks / timescale if timescale and ticks not in _UNKNOWN_DURATIONS else None


def _read_track(reader: BoundedReader, trak: Box, movie: _Movie) -> None:
    """Add one audio or video track (8.3); other handlers (text, timecode, metadata) are skipped."""
    mdia = find(reader, trak, b"mdia")
    handler = mdia and find(reader, mdia, b"hdlr")
    header = mdia and find(reader, mdia, b"mdhd")
    stbl = mdia and find(reader, mdia, b"minf", b"stbl")
    if not (mdia and handler and header and stbl):
        return
    kind = reader.unpack(">8x4s", handler.start)[0]
    if kind not in (b"vide", b"soun"):
        return
    if len(movie.tracks) >= TRACK_LIMIT:
        raise LimitReached(f"is not a {reader.label} that can be checked: too many tracks")
    number = _track_number(reader, trak)
    timescale, duration = _timing(reader, header)
    track = sample_entry(reader, stbl, kind, timescale)
    movie.tracks[number] = _timed(reader, stbl, track, timescale, duration)
    movie.timescales[number] = timescale


def _track_number(reader: BoundedReader, trak: Box) -> int:
    """Return track_ID of the track header (8.3.2), 0 where there is none."""
    tkhd = find(reader, trak, b"tkhd")
    if not tkhd:
        return 0
    version = reader.unpack("B", tkhd.start)[0]
    number: int = reader.unpack(">I", tkhd.start + (20 if version == 1 else 12))[0]
    return number


def _timed(reader: BoundedReader, stbl: Box, track: Track, timescale: int, duration: int) -> Track:
    """Add duration, frames and rate from time-to-sample (8.6.1.2), else from sample sizes."""
    frames, ticks = _time_to_sample(reader, stbl)
    if frames is None:
        frames = _sample_count(reader, stbl)
    seconds = _seconds(ticks or duration, timescale)
    if track.kind == "audio":
        return track._replace(duration_s=seconds)
    fps = frames / seconds if frames and seconds else None
    return track._replace(duration_s=seconds, frames=frames, fps=fps)


def _time_to_sample(reader: BoundedReader, stbl: Box) -> tuple[int | None, int]:
    """Return the samples and the ticks that stts describes; (None, 0) where it is too long."""
    stts = find(reader, stbl, b"stts")
    if not stts:
        return None, 0
    count = reader.unpack(">4xI", stts.start)[0]
    if count * 8 > stts.end - stts.start - 8:
        raise reader.damaged("its time table (stts) is larger than its box")
    if count > _TABLE_ENTRIES_READ:
        return None, 0
    table = reader.unpack(f">{count * 2}I", stts.start + 8)
    runs, deltas = table[::2], table[1::2]
    return sum(runs), sum(n * delta for n, delta in zip(runs, deltas, strict=True))


def _sample_count(reader: BoundedReader, stbl: Box) -> int | None:
    """Return sample_count of stsz (8.7.3.2)."""
    stsz = find(reader, stbl, b"stsz")
    return reader.unpack(">8xI", stsz.start)[0] if stsz else None


def _with_fragments(reader: BoundedReader, movie: _Movie, boxes: list[Box]) -> _Movie:
    """Extend the tracks by the movie fragments (8.8) that follow the index."""
    mvex = movie.boxes.get(b"mvex")
    moofs = [box for box in boxes if box.code == b"moof"]
    if not mvex or not moofs:
        return movie
    fragments = Fragments(reader)
    try:
        fragments.read_defaults(mvex.start, mvex.end)
        for moof in moofs:
            fragments.read_fragment(moof.start, moof.end)
    except LimitReached:
        return _unmeasured(movie, fragments)
    tracks = {
        number: _extended(track, movie.timescales[number], fragments, number)
        for number, track in movie.tracks.items()
    }
    longest = max((t.duration_s for t in tracks.values() if t.duration_s), default=None)
    return movie._replace(tracks=tracks, duration_s=max_known(movie.duration_s, longest))


def _unmeasured(movie: _Movie, fragments: Fragments) -> _Movie:
    """More fragments than may be read: keep only what the headers state."""
    timescale = next(iter(movie.timescales.values()))
    stated = _seconds(fragments.stated_duration, timescale) or movie.duration_s
    tracks = {n: track._replace(frames=None) for n, track in movie.tracks.items()}
    return movie._replace(tracks=tracks, duration_s=stated)


def _extended(track: Track, timescale: int, fragments: Fragments, number: int) -> Track:
    samples = fragments.samples.get(number, 0)
    seconds = _seconds(fragments.end_ticks.get(number, 0), timescale)
    if seconds is None:
        return track
    duration = max_known(track.duration_s, seconds)
    if track.kind == "audio":
        return track._replace(duration_s=duration)
    frames = (track.frames or 0) + samples
    return track._replace(duration_s=duration, frames=frames, fps=frames / (duration or seconds))


def max_known(first: float | None, second: float | None) -> float | None:
    """Return the larger of two durations, the known one where one is None."""
    if first is None or second is None:
        return second if first is None else first
    return max(first, second)
