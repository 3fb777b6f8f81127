"""Tell what a media file is by its first bytes.

ffmpeg is never left to guess: the demuxer is forced, so that a playlist under another name can
neither open other files nor reach the network.
"""

from __future__ import annotations

from pathlib import Path

from cvl_inside import InputError

_HEAD = 4096
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_STARTS = (
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"FLV\x01", "flv"),
    (b"caff", "caf"),
    (b"GIF8", "gif"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b".snd", "au"),
)
_RIFF = {b"WAVE": "wav", b"AVI ": "avi"}
_PLAYLISTS = (
    (b"#extm3u", "HLS"),
    (b"ffconcat", "ffconcat"),
    (b"v=0", "SDP"),
    (b"<mpd", "DASH"),
    (b"[playlist]", "PLS"),
    (b"<?xml", "XML"),
    (b"<smoothstreamingmedia", "XML"),
)


def demuxer(path: Path) -> str:
    """The name of ffmpeg's demuxer for this file, or an error for what is not a media file."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            found = by_magic(head)
            if found == "id3":
                stream.seek(id3_size(head))
                found = by_magic(stream.read(_HEAD)) or "mp3"
    except OSError as error:
        raise InputError(f"The file {path.name} cannot be read: {error.strerror}.") from None
    if found is None:
        raise _refusal(path.name, head)
    return found


def by_magic(head: bytes) -> str | None:
    """The format that these first bytes belong to; "id3" for a tag with the sound after it."""
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    if head[:3] == b"ID3":
        return "id3"
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return "mpegts"
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    return _mpeg_audio(head)


def _mpeg_audio(head: bytes) -> str | None:
    """MP3 and raw AAC both begin with eleven or twelve set bits; AAC's layer bits are zero."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if head[1] & 0x06 else None


def id3_size(head: bytes) -> int:
    """Length of the ID3v2 tag at the start of a file."""
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def _refusal(name: str, head: bytes) -> InputError:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, kind in _PLAYLISTS:
        if text.startswith(start):
            return InputError(
                f"The file {name} is a playlist ({kind}), not a video or sound.",
                hint="Give the media file itself.",
                code="playlist",
            )
    if not head:
        return InputError(f"The file {name} is empty.", code="empty_file")
    return InputError(
        f"The format of {name} is not known.",
        hint="Known: mp4, mov, mkv, webm, avi, ts, flv, gif; wav, mp3, m4a, aac, "
        "flac, ogg, opus, aiff.",
        code="unknown_format",
    )
