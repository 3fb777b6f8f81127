"""From a file's bytes to what it is."""

from __future__ import annotations

import struct
from typing import BinaryIO

from .formats import FORMATS, formats_for
from .info import Kind, MediaError, MediaInfo
from .reader import BoundedReader
from .sniff import HEAD_BYTES, sniff

_JSON_PARSED_BYTES = 1 << 20
_ARTICLES = {"audio": "audio", "video": "a video", "image": "an image", "json": "JSON"}

_LABELS = {
    "mp4": "MP4",
    "mov": "QuickTime movie",
    "mkv": "Matroska file",
    "wav": "WAV",
    "mp3": "MP3",
    "aac": "AAC file",
    "flac": "FLAC",
    "ogg": "Ogg file",
    "avi": "AVI",
    "jpg": "JPEG",
    "webp": "WebP image",
}


def inspect(stream: BinaryIO, size: int, expect: Kind | None = None) -> MediaInfo:
    """Describe a file by its structure, without decoding it.

    stream: the open file, seekable; its position afterwards is anywhere. size: its length in
    bytes. expect: the kind that the file has to be, `other` for any; None does not require one.

    At most 8 MiB are read and 100,000 structures visited. Files that are not media (text, archives,
    unknown bytes) and media that cvl does not read are `other`, not an error, unless expect
    requires more. Raises MediaError where the file is empty, cut, damaged, encrypted or of another
    kind than expected; errors of the stream itself (OSError) pass through.
    """
    if size <= 0:
        raise MediaError("is empty")
    reader = BoundedReader(stream, size)
    head = reader.read(0, HEAD_BYTES)
    format = sniff(head) or "bin"
    reader.label = _LABELS.get(format, format.upper())
    try:
        info = _describe(reader, format, expect)
    except (struct.error, IndexError, OverflowError, ZeroDivisionError) as error:
        raise reader.damaged("its headers contradict each other") from error
    if expect:
        require_kind(info, expect)
    return info


def require_kind(info: MediaInfo, kind: Kind) -> None:
    """Raise MediaError ("is not a video: it is plain text") unless info is of a kind.

    `other` accepts everything; `video` needs pictures, `audio` is a file of sound alone.
    """
    if kind in ("other", info.kind):
        return
    row = FORMATS[info.format]
    if row.unread == kind:
        accepted = ", ".join(formats_for(kind))
        raise MediaError(f"is {row.phrase}, which is not supported: use one of {accepted}")
    phrase = row.phrase
    if info.kind == "audio" and "video" in row.kinds:
        phrase += " with sound only"
    raise MediaError(f"is not {_ARTICLES[kind]}: it is {phrase}")


def _describe(reader: BoundedReader, format: str, expect: Kind | None) -> MediaInfo:
    """Parsers are imported on use: most commands never look at a file."""
    row = FORMATS[format]
    if format == "json":
        return _inspect_json(reader, expect)
    if not row.kinds:
        return MediaInfo("other", format, row.mime)
    if row.kinds == ("image",):
        from .image import inspect_image

        return inspect_image(reader, format)
    if format in ("mp4", "mov"):
        from .isobmff import inspect_isobmff

        return inspect_isobmff(reader, format)
    if format == "mkv":
        from .matroska import inspect_matroska

        return inspect_matroska(reader)
    return _inspect_riff(reader, format) or _inspect_audio(reader, format)


def _inspect_riff(reader: BoundedReader, format: str) -> MediaInfo | None:
    from .riff import inspect_avi, inspect_wav

    if format == "wav":
        return inspect_wav(reader)
    return inspect_avi(reader) if format == "avi" else None


def _inspect_audio(reader: BoundedReader, format: str) -> MediaInfo:
    """ID3 tags may precede MP3, AAC and FLAC, so that what follows the tags decides."""
    from .mpegaudio import after_id3, inspect_adts, inspect_mp3
    from .xiph import inspect_flac, inspect_ogg

    if format == "ogg":
        return inspect_ogg(reader)
    start = after_id3(reader)
    if start:
        format = sniff(reader.read(start, HEAD_BYTES)) or "mp3"
        reader.label = _LABELS.get(format, reader.label)
    if format == "flac":
        return inspect_flac(reader, start)
    return inspect_adts(reader, start) if format == "aac" else inspect_mp3(reader, start)


def _inspect_json(reader: BoundedReader, expect: Kind | None) -> MediaInfo:
    """Text that only begins like JSON is an error where JSON is expected, else plain text."""
    fault = _json_fault(reader)
    if fault and expect == "json":
        raise reader.damaged(fault)
    format = "text" if fault else "json"
    return MediaInfo("other" if fault else "json", format, FORMATS[format].mime)


def _json_fault(reader: BoundedReader) -> str | None:
    """Say what is wrong with a JSON file up to 1 MiB; of larger ones only the last byte is seen."""
    if reader.size > _JSON_PARSED_BYTES:
        end = reader.read(reader.size - 64, 64).rstrip()
        return None if end.endswith((b"}", b"]")) else "it ends before its last bracket"
    import json

    try:
        # Python refuses very long integers, and their digits do not matter here.
        json.loads(reader.read(0, reader.size), parse_int=str, parse_constant=_refuse)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"{error}" if isinstance(error, json.JSONDecodeError) else "it is not UTF-8 text"
    return None


def _refuse(constant: str) -> str:
    import json

    raise json.JSONDecodeError(f"{constant} is not a JSON value", "", 0)
