"""MP3 and ADTS AAC files.

Sources: ISO/IEC 11172-3, 2.4.1.3 and 13818-3 (frame header), 14496-3, 1.A.3.2 (ADTS), the Xing,
LAME and VBRI headers as encoders write them, ID3v2.4.0 structure, 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .info import MediaInfo
from .reader import BoundedReader
from .tracks import Track, info_of_tracks

_SEARCHED_BYTES = 64 << 10
_WALKED_BYTES = 4 << 20
_WALKED_FRAMES = 50_000
_BLOCK_BYTES = 64 << 10
_PREPENDED_TAGS = 4

_MP3_RATES = (44100, 48000, 32000)
_MP3_KBITS = {
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_ADTS_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip


class Frame(NamedTuple):
    """One audio frame header: length in bytes, samples per channel, rate in Hz, channels."""

    length: int
    samples: int
    rate: int
    channels: int
    codec: str


FrameParser = Callable[[bytes], "Frame | None"]


def mp3_frame(header: bytes) -> Frame | None:
    """Parse the 4-byte header of a layer II or III frame; None where it is not one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = {3: 1, 2: 2, 0: 4}.get(header[1] >> 3 & 3), 4 - (header[1] >> 1 & 3)
    bits, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version is None or layer not in (2, 3) or bits in (0, 15) or rate_index == 3:
        return None
    rate = _MP3_RATES[rate_index] // version
    samples = 576 if layer == 3 and version > 1 else 1152
    kbits = _MP3_KBITS[min(version, 2), layer][bits]
    length = samples * kbits * 125 // rate + (header[2] >> 1 & 1)
    return Frame(length, samples, rate, 1 if header[3] >> 6 == 3 else 2, f"mp{layer}")


def adts_frame(header: bytes) -> Frame | None:
    """Parse the 7-byte header of an ADTS frame; None where it is not one."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    index, layout = header[2] >> 2 & 15, (header[2] & 1) << 2 | header[3] >> 6
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if index >= len(_ADTS_RATES) or length < 7:
        return None
    blocks = (header[6] & 3) + 1
    return Frame(length, 1024 * blocks, _ADTS_RATES[index], 8 if layout == 7 else layout, "aac")


def after_id3(reader: BoundedReader) -> int:
    """Return the offset after the ID3v2 tags at the start of a file."""
    at = 0
    for _ in range(_PREPENDED_TAGS):
        head = reader.read(at, 10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    if at > reader.size:
        raise reader.truncated("it ends within its tags (ID3)")
    return at


def inspect_mp3(reader: BoundedReader, start: int) -> MediaInfo:
    """Describe an MP3 file whose frames start at or soon after an offset.

    The duration is that of the Xing/Info or VBRI header without the encoder's delay and padding;
    without such a header frames are counted, and extrapolated after 4 MiB.
    """
    at, frame = _first_frame(reader, start, mp3_frame)
    end = _without_trailers(reader)
    samples = _stated_samples(reader, at, frame, end)
    if samples is None:
        samples = _walk(reader, at, end, mp3_frame)
    return _audio_info("mp3", "audio/mpeg", frame, samples)


def inspect_adts(reader: BoundedReader, start: int) -> MediaInfo:
    """Describe an ADTS AAC file; frames are counted, and extrapolated after 4 MiB."""
    at, frame = _first_frame(reader, start, adts_frame)
    return _audio_info("aac", "audio/aac", frame, _walk(reader, at, reader.size, adts_frame))


def _audio_info(format: str, mime: str, frame: Frame, samples: int) -> MediaInfo:
    duration = samples / frame.rate
    track = Track(
        "audio", frame.codec, duration, sample_rate=frame.rate, channels=frame.channels or None
    )
    return info_of_tracks(format, mime, [track])


def _first_frame(reader: BoundedReader, start: int, parse: FrameParser) -> tuple[int, Frame]:
    """Find the first frame that another one like it follows, or that ends the file."""
    window = reader.read(start, _SEARCHED_BYTES)
    at = window.find(b"\xff")
    while at >= 0:
        frame = parse(window[at : at + 7])
        if frame and _is_followed(reader, start + at, frame, parse):
            return start + at, frame
        at = window.find(b"\xff", at + 1)
    raise reader.damaged("it has no audio frames where they should start")


def _is_followed(reader: BoundedReader, at: int, frame: Frame, parse: FrameParser) -> bool:
    reader.step()
    following = at + frame.length
    if following >= reader.size:
        return following == reader.size
    after = parse(reader.read(following, 7))
    return after is not None and after.rate == frame.rate and after.codec == frame.codec


def _walk(reader: BoundedReader, start: int, end: int, parse: FrameParser) -> int:
    """Count samples frame by frame up to what is no frame; extrapolate long files."""
    at, samples, block, origin = start, 0, b"", start
    for _ in range(_WALKED_FRAMES):
        if at - origin + 7 > len(block):
            block, origin = reader.read(at, min(_BLOCK_BYTES, end - at)), at
        frame = parse(block[at - origin : at - origin + 7])
        if frame is None or at + frame.length > end:
            return samples
        samples += frame.samples
        at += frame.length
        if at - start > _WALKED_BYTES:
            break
    return samples * (end - start) // (at - start)


def _without_trailers(reader: BoundedReader) -> int:
    """Return the file's end before an ID3v1 tag."""
    return reader.size - 128 if reader.read(reader.size - 128, 3) == b"TAG" else reader.size


def _stated_samples(reader: BoundedReader, at: int, frame: Frame, end: int) -> int | None:
    """Return the samples that a Xing/Info or VBRI header in the first frame states."""
    data = reader.read(at, min(max(frame.length, 200), 1500))
    vbri = data.find(b"VBRI", 36, 44)
    if vbri > 0:
        return int.from_bytes(data[vbri + 14 : vbri + 18], "big") * frame.samples
    xing = max(data.find(b"Xing", 4, 48), data.find(b"Info", 4, 48))
    if xing < 0:
        return None
    flags, frames, size = (
        int.from_bytes(data[xing + skip : xing + skip + 4], "big") for skip in (4, 8, 12)
    )
    if not flags & 1 or not frames:
        return None
    samples = max(frames * frame.samples - _lame_silence(data, xing, flags), 0)
    if flags & 2 and size > end - at > 0:  # the file was cut after it was written
        samples = samples * (end - at) // size
    return samples


def _lame_silence(data: bytes, xing: int, flags: int) -> int:
    """Return the samples that the encoder added at both ends (LAME tag, 12 + 12 bits)."""
    at = xing + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1)
    at += 4 * (flags >> 3 & 1)
    if data[at : at + 4] not in (b"LAME", b"Lavc", b"Lavf"):
        return 0
    packed = int.from_bytes(data[at + 21 : at + 24], "big")
    return (packed >> 12) + (packed & 0xFFF)
