"""The formats that cvl names: phrase for messages, MIME type, kinds and file extensions."""

from __future__ import annotations

from typing import NamedTuple

from .info import Kind


class Format(NamedTuple):
    """One row of the table; `kinds` is empty where cvl knows a format but does not read it."""

    phrase: str
    mime: str
    kinds: tuple[Kind, ...] = ()
    extensions: tuple[str, ...] = ()
    unread: Kind | None = None


FORMATS: dict[str, Format] = {
    "mp4": Format("an MP4 video", "video/mp4", ("video",), ("mp4", "m4v")),
    "mov": Format("a QuickTime movie", "video/quicktime", ("video",), ("mov", "qt")),
    "mkv": Format("a Matroska file", "video/x-matroska", ("video", "audio"), ("mkv", "mka")),
    "webm": Format("a WebM file", "video/webm", ("video", "audio"), ("webm",)),
    "avi": Format("an AVI video", "video/x-msvideo", ("video",), ("avi",)),
    "ogv": Format("an Ogg video", "video/ogg", ("video",), ("ogv",)),
    "wav": Format("a WAV audio file", "audio/wav", ("audio",), ("wav", "wave")),
    "mp3": Format("an MP3 audio file", "audio/mpeg", ("audio",), ("mp3",)),
    "flac": Format("a FLAC audio file", "audio/flac", ("audio",), ("flac",)),
    "ogg": Format("an Ogg audio file", "audio/ogg", ("audio",), ("ogg", "oga", "opus")),
    "m4a": Format("an MPEG-4 audio file", "audio/mp4", ("audio",), ("m4a", "m4b")),
    "aac": Format("an AAC audio file", "audio/aac", ("audio",), ("aac", "adts")),
    "png": Format("a PNG image", "image/png", ("image",), ("png", "apng")),
    "jpg": Format("a JPEG image", "image/jpeg", ("image",), ("jpg", "jpeg", "jpe")),
    "webp": Format("a WebP image", "image/webp", ("image",), ("webp",)),
    "gif": Format("a GIF image", "image/gif", ("image",), ("gif",)),
    "bmp": Format("a BMP image", "image/bmp", ("image",), ("bmp", "dib")),
    "tiff": Format("a TIFF image", "image/tiff", ("image",), ("tiff", "tif")),
    "json": Format("JSON", "application/json", ("json",), ("json",)),
    "mpegts": Format("an MPEG transport stream", "video/mp2t", unread="video"),
    "mpegps": Format("an MPEG program stream", "video/mpeg", unread="video"),
    "flv": Format("a Flash video", "video/x-flv", unread="video"),
    "asf": Format("a Windows Media file", "video/x-ms-asf", unread="video"),
    "aiff": Format("an AIFF audio file", "audio/aiff", unread="audio"),
    "caf": Format("a Core Audio file", "audio/x-caf", unread="audio"),
    "w64": Format("a Wave64 audio file", "audio/x-w64", unread="audio"),
    "rifx": Format("a big-endian WAV file", "audio/wav", unread="audio"),
    "amr": Format("an AMR audio file", "audio/amr", unread="audio"),
    "midi": Format("a MIDI file", "audio/midi", unread="audio"),
    "avif": Format("an AVIF image", "image/avif", unread="image"),
    "heic": Format("a HEIC image", "image/heic", unread="image"),
    "raw": Format("a camera raw image", "image/x-raw", unread="image"),
    "jxl": Format("a JPEG XL image", "image/jxl", unread="image"),
    "jp2": Format("a JPEG 2000 image", "image/jp2", unread="image"),
    "psd": Format("a Photoshop image", "image/vnd.adobe.photoshop", unread="image"),
    "ico": Format("an icon file", "image/x-icon", unread="image"),
    "exr": Format("an OpenEXR image", "image/x-exr", unread="image"),
    "svg": Format("an SVG drawing", "image/svg+xml", unread="image"),
    "text": Format("plain text", "text/plain"),
    "html": Format("an HTML page", "text/html"),
    "xml": Format("an XML document", "application/xml"),
    "m3u8": Format("a playlist (M3U)", "application/vnd.apple.mpegurl"),
    "pls": Format("a playlist (PLS)", "audio/x-scpls"),
    "ffconcat": Format("a playlist (ffconcat)", "text/plain"),
    "mpd": Format("a playlist (DASH MPD)", "application/dash+xml"),
    "sdp": Format("a session description (SDP)", "application/sdp"),
    "subtitles": Format("a subtitle file", "text/plain"),
    "lfs": Format("a Git LFS pointer, not the file itself", "text/plain"),
    "script": Format("a script", "text/x-script"),
    "exe": Format("a program", "application/x-executable"),
    "zip": Format("a ZIP archive", "application/zip"),
    "archive": Format("a compressed archive", "application/octet-stream"),
    "pdf": Format("a PDF document", "application/pdf"),
    "npy": Format("a NumPy array", "application/x-npy"),
    "safetensors": Format("a safetensors file", "application/octet-stream"),
    "gguf": Format("a GGUF file", "application/octet-stream"),
    "pickle": Format("a Python pickle", "application/octet-stream"),
    "sqlite": Format("an SQLite database", "application/vnd.sqlite3"),
    "zeros": Format("only zero bytes", "application/octet-stream"),
    "bin": Format("data of an unknown type", "application/octet-stream"),
}


def formats_for(kind: str) -> tuple[str, ...]:
    """Return the formats that `inspect` reads as a kind, none for `other` or another word."""
    return tuple(name for name, row in FORMATS.items() if kind in row.kinds)


def extensions_for(kind: str) -> tuple[str, ...]:
    """Return a kind's file extensions, lower case and without dots, preferred ones first."""
    rows = [FORMATS[name].extensions for name in formats_for(kind)]
    return tuple(row[0] for row in rows) + tuple(ext for row in rows for ext in row[1:])


def extension_for(format: str) -> str:
    """Return a format's canonical extension (`mp4`), `bin` where cvl does not read it."""
    row = FORMATS.get(format)
    return row.extensions[0] if row and row.extensions else "bin"


def format_of_extension(extension: str) -> str | None:
    """Return the format that an extension (`JPEG` or `.jpeg`) stands for, None if not known."""
    wanted = extension.lower().removeprefix(".")
    return next((name for name, row in FORMATS.items() if wanted in row.extensions), None)
