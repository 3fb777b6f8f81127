"""Formats by their first bytes."""

from __future__ import annotations

import re
import struct

HEAD_BYTES = 4096

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"fLaC", "flac"),
    (b"OggS\0", "ogg"),
    (b"\x1a\x45\xdf\xa3", "mkv"),
    (b"\x7fELF", "exe"),
    (b"\xfe\xed\xfa\xce", "exe"),
    (b"\xfe\xed\xfa\xcf", "exe"),
    (b"\xce\xfa\xed\xfe", "exe"),
    (b"\xcf\xfa\xed\xfe", "exe"),
    (b"\xca\xfe\xba\xbe", "exe"),
    (b"\0asm", "exe"),
    (b"#!AMR", "amr"),
    (b"#!", "script"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "archive"),
    (b"BZh91AY&SY", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!\x1a\x07", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"%PDF-", "pdf"),
    (b"\x93NUMPY", "npy"),
    (b"GGUF\x02\0", "gguf"),
    (b"GGUF\x03\0", "gguf"),
    (b"SQLite format 3\0", "sqlite"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x00\x00\x01\xba", "mpegps"),
    (b"\x00\x00\x01\xb3", "mpegps"),
    (b"caff\0\x01", "caf"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"MThd\0\0", "midi"),
    (b"8BPS\0\x01", "psd"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
)

_RIFF_FORMS = {b"WAVE": "wav", b"AVI ": "avi", b"WEBP": "webp"}
_QUICKTIME_FIRST = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_IMAGE_BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"hevc": "heic",
    b"mif1": "heic",
    b"msf1": "heic",
    b"crx ": "raw",
}
_DIB_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)

_TEXT_STARTS: tuple[tuple[str, str], ...] = (
    (r"#EXTM3U", "m3u8"),
    (r"ffconcat\b", "ffconcat"),
    (r"\[playlist\]", "pls"),
    (r"v=0\r?\n", "sdp"),
    (r"WEBVTT\b|\[Script Info\]|\d+\r?\n\d\d:\d\d:\d\d,\d{3} -->", "subtitles"),
    (r"version https://git-lfs", "lfs"),
    (r'\{\s*(?:"|\}|\Z)|\[\s*(?:[\[{"\-\d\]]|true|false|null|\Z)', "json"),
)
_MARKUP_ROOTS: tuple[tuple[str, str], ...] = (
    (r"<!doctype\s+html|<html\b|<head\b|<body\b|<script\b", "html"),
    (r"<svg\b|<!doctype\s+svg", "svg"),
    (r"<MPD\b", "mpd"),
    (r"<(?:smil|asx|playlist)\b", "m3u8"),
    (r"<\?xml\b|<!--", "xml"),
)


def sniff(head: bytes) -> str | None:
    """Return the format of a file from its first bytes (HEAD_BYTES are enough), or None.

    Names are the keys of `formats.FORMATS`. It tells families apart that `inspect` refines:
    `mkv` may turn out to be `webm`, `mp4` to be `m4a`, `ogg` to be `ogv`. Text that could lead a
    player to other files or hosts (playlists, SDP, SVG) has names of its own. Never raises.
    """
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    for probe in (_riff, _iso, _dib, _mpeg_audio, _other_binary, _text):
        found = probe(head)
        if found:
            return found
    return None


def _riff(head: bytes) -> str | None:
    magic, form = head[:4], head[8:12]
    if magic in (b"RIFF", b"RF64", b"BW64"):
        return _RIFF_FORMS.get(form)
    if magic == b"RIFX" and form == b"WAVE":
        return "rifx"
    return "aiff" if magic == b"FORM" and form in (b"AIFF", b"AIFC") else None


def _iso(head: bytes) -> str | None:
    kind, brand = head[4:8], head[8:12]
    if kind == b"ftyp":
        return _IMAGE_BRANDS.get(brand) or ("mov" if brand == b"qt  " else "mp4")
    if kind in (b"styp", b"moof", b"sidx"):
        return "mp4"
    # "The free ..." is text: these codes are words, so the bytes around them must not be.
    return "mov" if kind in _QUICKTIME_FIRST and _decoded(head) is None else None


def _dib(head: bytes) -> str | None:
    """BMP and DOS programs have two-letter marks, so a second field must fit too."""
    if head[:2] == b"MZ" and b"\0" in head[:64]:
        return "exe"
    if head[:2] != b"BM" or len(head) < 18:
        return None
    return "bmp" if struct.unpack_from("<I", head, 14)[0] in _DIB_HEADER_SIZES else None


def _mpeg_audio(head: bytes) -> str | None:
    if head[:3] == b"ID3" and head[3:4] in (b"\x02", b"\x03", b"\x04"):
        return "mp3"
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac" if (head[2] >> 2) & 15 < 13 else None
    layered = head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08 and head[1] & 0x06 in (0x02, 0x04)
    rated = 0 < head[2] >> 4 < 15 and head[2] & 0x0C != 0x0C
    return "mp3" if layered and rated else None


def _other_binary(head: bytes) -> str | None:
    if len(head) >= 377 and head[0] == head[188] == head[376] == 0x47:
        return "mpegts"
    if head[257:262] == b"ustar":
        return "archive"
    if head[8:10] == b'{"' and head[4:8] == b"\0\0\0\0":
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 2:
        return "pickle"
    return "zeros" if len(head) >= 16 and not any(head) else None


def _text(head: bytes) -> str | None:
    text = _decoded(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        return _markup(start)
    for pattern, name in _TEXT_STARTS:
        if re.match(pattern, start):
            return name
    return "text"


def _markup(start: str) -> str:
    """The root may follow a prologue, but not be just a word deep inside the document."""
    for pattern, name in _MARKUP_ROOTS:
        if re.search(pattern, start[:1024], re.IGNORECASE):
            return name
    return "text"


def _decoded(head: bytes) -> str | None:
    """Return the text that these bytes are, None where they are binary."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "ignore") if len(head) > 3 else None
    if not head or re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", head):
        return None
    try:
        return head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut where the head ends; anywhere else it is not UTF-8.
        if error.start > 0 and error.start >= len(head) - 3:
            return head[: error.start].decode()
        return None
