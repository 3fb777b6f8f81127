"""Sample descriptions of ISO base media files: codec, picture size, sound format.

Sources: ISO/IEC 14496-12, 8.5.2 and 12 (sample entries), 14496-14 (esds), 14496-3, 1.6
(AudioSpecificConfig), QuickTime File Format (sound description versions 1 and 2).
"""

from __future__ import annotations

import struct

from .info import MediaError
from .isobmff_boxes import Box, find
from .reader import BoundedReader, printable
from .tracks import Track

_CODECS: dict[bytes, str] = {
    b"avc1": "h264",
    b"avc3": "h264",
    b"hvc1": "hevc",
    b"hev1": "hevc",
    b"dvh1": "hevc",
    b"av01": "av1",
    b"vp08": "vp8",
    b"vp09": "vp9",
    b"mp4v": "mpeg4",
    b"s263": "h263",
    b"jpeg": "mjpeg",
    b"mjpa": "mjpeg",
    b"png ": "png",
    b"rle ": "qtrle",
    b"raw ": "rawvideo",
    b"apch": "prores",
    b"apcn": "prores",
    b"apcs": "prores",
    b"apco": "prores",
    b"ap4h": "prores",
    b"mp4a": "aac",
    b".mp3": "mp3",
    b"alac": "alac",
    b"Opus": "opus",
    b"fLaC": "flac",
    b"ac-3": "ac3",
    b"ec-3": "eac3",
    b"sowt": "pcm_s16le",
    b"twos": "pcm_s16be",
    b"in24": "pcm_s24",
    b"in32": "pcm_s32",
    b"fl32": "pcm_f32",
    b"fl64": "pcm_f64",
    b"lpcm": "pcm",
    b"ipcm": "pcm",
    b"fpcm": "pcm",
    b"ulaw": "pcm_mulaw",
    b"alaw": "pcm_alaw",
    b"samr": "amr_nb",
}
_OBJECT_TYPES = {0x69: "mp3", 0x6B: "mp3", 0x6C: "mjpeg", 0x6D: "png", 0xA5: "ac3", 0xDD: "vorbis"}
_SAMPLE_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
_ENTRY_BYTES_READ = 4096


def sample_entry(reader: BoundedReader, stbl: Box, handler: bytes, timescale: int) -> Track:
    """Read the first sample entry of a track (14496-12, 8.5.2).

    handler: `vide` or `soun`. timescale: the track's, the sample rate where the entry has none.
    Raises MediaError for an encrypted track and where the entry is missing or cut.
    """
    stsd = find(reader, stbl, b"stsd")
    if stsd is None:
        raise reader.damaged("a track does not say its codec (stsd)")
    size, code = reader.unpack(">8xI4s", stsd.start)
    if size < 16 or stsd.start + 8 + size > stsd.end:
        raise reader.damaged("the codec description (stsd) of a track has an impossible size")
    entry = reader.exactly(stsd.start + 16, min(size - 8, _ENTRY_BYTES_READ))
    if code in (b"encv", b"enca", b"drms", b"drmi"):
        raise MediaError(f"is an encrypted {reader.label} (DRM), which cannot be decoded")
    codec = _CODECS.get(code) or printable(code).strip("'").strip()
    if handler == b"vide":
        return _picture(reader, entry, codec)
    return _sound(reader, entry, codec, timescale)


def _picture(reader: BoundedReader, entry: bytes, codec: str) -> Track:
    if len(entry) < 28:
        raise reader.damaged("the description of its video track is cut")
    width, height = (int.from_bytes(entry[at : at + 2], "big") for at in (24, 26))
    if codec == "mpeg4":
        codec = _object_codec(entry) or codec
    return Track("video", codec, width=width or None, height=height or None)


def _sound(reader: BoundedReader, entry: bytes, codec: str, timescale: int) -> Track:
    if len(entry) < 28:
        raise reader.damaged("the description of its audio track is cut")
    version, channels = (int.from_bytes(entry[at : at + 2], "big") for at in (8, 16))
    rate = int.from_bytes(entry[24:26], "big")
    if version == 2 and len(entry) >= 44:
        rate, channels = _float_rate(entry[32:40]), int.from_bytes(entry[40:44], "big")
    if codec == "aac":
        codec = _object_codec(entry) or codec
        rate, channels = _audio_config(entry, rate, channels)
    return Track("audio", codec, sample_rate=rate or timescale or None, channels=channels or None)


def _float_rate(field: bytes) -> int:
    rate = struct.unpack(">d", field)[0]
    return int(rate) if 0 < rate < 1e9 else 0


def _object_codec(entry: bytes) -> str | None:
    """Return the codec of the DecoderConfigDescriptor's object type (14496-1, 7.2.6.6)."""
    config = _descriptor(entry, 0x04)
    return _OBJECT_TYPES.get(config[0]) if config else None


def _audio_config(entry: bytes, rate: int, channels: int) -> tuple[int, int]:
    """Return sample rate and channels of AudioSpecificConfig, the given ones if it is missing.

    The fields of the sample entry itself are only a template in MP4: mono files often say 2.
    """
    config = _descriptor(entry, 0x05)
    if config is None or len(config) < 2 or config[0] >> 3 == 31:
        return rate, channels
    bits = int.from_bytes(config[:5].ljust(5, b"\0"), "big")
    index, left = bits >> 31 & 15, 27
    if index < len(_SAMPLE_RATES):
        rate = rate or _SAMPLE_RATES[index]
    elif index == 15:
        rate, left = bits >> 7 & 0xFFFFFF, 3
    layout = bits >> left & 15
    return rate, (8 if layout == 7 else layout) or channels


def _descriptor(entry: bytes, wanted: int) -> bytes | None:
    """Return the payload of one descriptor in the entry's esds box (14496-1, 8.3.3).

    The box is searched for by its code, for QuickTime nests it in others. ES_Descriptor (3) and
    DecoderConfigDescriptor (4) hold the next one after 3 and 13 bytes.
    """
    at = entry.find(b"esds") + 8
    if at < 8:
        return None
    for tag, fixed in ((0x03, 3), (0x04, 13), (0x05, 0)):
        if at >= len(entry) or entry[at] != tag:
            return None
        size, at = _descriptor_size(entry, at + 1)
        if tag == wanted:
            return entry[at : at + size]
        if tag == 0x03 and at + 2 < len(entry):
            fixed += _optional_bytes(entry, at)
        at += fixed
    return None


def _descriptor_size(entry: bytes, at: int) -> tuple[int, int]:
    """Decode an expandable size of up to four bytes; return it and the offset after it."""
    size = 0
    for byte in entry[at : at + 4]:
        size, at = size << 7 | byte & 0x7F, at + 1
        if not byte & 0x80:
            break
    return size, at


def _optional_bytes(entry: bytes, at: int) -> int:
    """Return the length of the ES_Descriptor's optional fields."""
    flags = entry[at + 2]
    url = 1 + entry[at + 3] if flags & 0x40 and at + 3 < len(entry) else 0
    return (2 if flags & 0x80 else 0) + url + (2 if flags & 0x20 else 0)
