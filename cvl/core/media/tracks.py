"""Streams of a container, and the description of a file that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from .info import MediaInfo


class Track(NamedTuple):
    """One audio or video stream of a container; durations in seconds."""

    kind: Literal["audio", "video"]
    codec: str | None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None
    sample_rate: int | None = None
    channels: int | None = None


def info_of_tracks(
    format: str,
    mime: str,
    tracks: Sequence[Track],
    duration_s: float | None = None,
    faststart: bool | None = None,
) -> MediaInfo:
    """Describe a container by its first video and first audio track.

    duration_s: of the whole file, where the container states it; else the longest track's.
    """
    video = next((track for track in tracks if track.kind == "video"), None)
    audio = next((track for track in tracks if track.kind == "audio"), None)
    if duration_s is None:
        duration_s = max((t.duration_s for t in tracks if t.duration_s is not None), default=None)
    return MediaInfo(
        kind="video" if video else "audio",
        format=format,
        mime=mime,
        has_video=video is not None,
        has_audio=audio is not None,
        width=video.width if video else None,
        height=video.height if video else None,
        duration_s=duration_s,
        frames=video.frames if video else None,
        fps=video.fps if video else None,
        sample_rate=audio.sample_rate if audio else None,
        channels=audio.channels if audio else None,
        video_codec=video.codec if video else None,
        audio_codec=audio.codec if audio else None,
        faststart=faststart,
    )


def image_info(
    format: str, width: int, height: int, frames: int | None = 1, duration_s: float | None = None
) -> MediaInfo:
    """Describe an image of width x height pixels; frames > 1 where it is animated or paged."""
    mime = "image/jpeg" if format == "jpg" else f"image/{format}"
    return MediaInfo("image", format, mime, False, False, width, height, duration_s, frames)
