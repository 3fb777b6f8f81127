"""The example's inputs as one record, and the combinations that make no sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvl_inside import InputError

_MAX_CRF = {"h264": 51, "h265": 51, "av1": 63}
_NOT_IN_MOV = ("flac", "opus")


@dataclass(frozen=True)
class Options:
    video: str | None = None
    clips: Sequence[str] | None = None
    audio: str | None = None
    audio_mode: str = "replace"
    length: str = "auto"
    music: str | None = None
    music_gain: float = -18.0
    loudness: float | None = None
    width: int | None = None
    height: int | None = None
    fit: str = "pad"
    fps: float | None = None
    fade_in: float = 0.0
    fade_out: float = 0.0
    trim_start: float | None = None
    trim_end: float | None = None
    duration: float | None = None
    watermark: str | None = None
    watermark_position: str = "top-right"
    subtitles: str | None = None
    subtitle_mode: str = "burn"
    video_codec: str = "auto"
    crf: int | None = None
    audio_codec: str = "auto"
    audio_bitrate: int = 192
    sample_rate: int | None = None
    poster_time: float | None = None

    @property
    def visuals(self) -> list[str]:
        """Paths of everything with a picture, in playing order."""
        return [*([self.video] if self.video else []), *(self.clips or [])]

    @property
    def encoder(self) -> str:
        """The codec to encode with when the picture cannot be copied."""
        return "h264" if self.video_codec == "auto" else self.video_codec


def check(options: Options, video_file: str | None, poster: bool) -> None:
    """Refuse inputs that contradict each other; `video_file` is the wanted video's name."""
    _check_sources(options, wants_picture=bool(video_file) or poster)
    _check_times(options)
    limit = _MAX_CRF[options.encoder]
    if options.crf is not None and options.crf > limit:
        raise InputError(
            f"crf {options.crf} is too high: {options.encoder} goes to {limit}.",
            hint="Lower numbers mean better pictures.",
            code="crf",
        )
    if video_file and Path(video_file).suffix == ".mov" and options.audio_codec in _NOT_IN_MOV:
        raise InputError(
            f"A mov file cannot hold {options.audio_codec} sound.",
            hint="Use --audio_codec aac, or write an mp4 or mkv file.",
            code="codec",
        )


def _check_sources(options: Options, wants_picture: bool) -> None:
    if not options.visuals and not options.audio:
        raise InputError(
            "There is nothing to work on.",
            code="no_input",
            hint="Give --video, --clips or --audio (--music only lies beneath them).",
        )
    if options.length == "audio" and not options.audio:
        raise InputError(
            "length=audio needs a separate sound file.", hint="Give --audio.", code="length"
        )
    if options.visuals:
        return
    if wants_picture:
        raise InputError(
            "There is no picture to make a video or poster of.",
            hint="Give --video or --clips, or ask for the audio output only.",
            code="no_picture",
        )
    named = ("width", "height", "fps", "watermark", "subtitles")
    given = [name for name in named if getattr(options, name) is not None]
    if given:
        raise InputError(
            f"{given[0]} needs a picture, and only sound was given.",
            hint="Give --video or --clips.",
            code="no_picture",
        )


def _check_times(options: Options) -> None:
    start = options.trim_start or 0.0
    if options.trim_end is not None and options.duration is not None:
        raise InputError(
            "trim_end and duration both say where to stop.", hint="Give one of them.", code="trim"
        )
    if options.trim_end is not None and options.trim_end <= start:
        raise InputError(
            f"trim_end ({options.trim_end:g} s) is not after trim_start ({start:g} s).", code="trim"
        )
