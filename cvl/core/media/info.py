"""What is known about a media file without decoding it, and how that is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["audio", "video", "image", "json", "other"]


class MediaError(ValueError):
    """A file is not the media it should be; the message is a sentence without its subject.

    Print it after the file's name: ``f"{path} {error}"`` reads "a.mp4 is empty". Bytes of the
    file appear in it only as escaped ASCII, so it is safe to show on a terminal.
    """


class LimitReached(MediaError):
    """The structure may be right but needs more reads or steps than inspection allows."""


@dataclass(frozen=True)
class MediaInfo:
    """The container's own statements about its content.

    kind: what the file is used as: `video` when it has a moving-picture stream, `other` for
        everything that is not media that cvl reads (then only format and mime are set).
    format: `mp4`, `png`, `text`, ...; `bin` where the bytes are unknown. See `formats_for`.
    width, height: pixels as stored, before any rotation tag or EXIF orientation.
    duration_s: seconds; None for stills and where the file does not say.
    frames: pictures of the first video stream (or of an image, 1 for a still); None if unknown.
    fps: mean frames per second of the first video stream.
    sample_rate, channels: Hz and count of the first audio stream.
    video_codec, audio_codec: ffmpeg's codec names (`h264`, `aac`, `pcm_s16le`), else the
        container's identifier.
    faststart: ISO files only: the index (moov) lies before the media data.
    """

    kind: Kind
    format: str
    mime: str
    has_video: bool = False
    has_audio: bool = False
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    frames: int | None = None
    fps: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    video_codec: str | None = None
    audio_codec: str | None = None
    faststart: bool | None = None
