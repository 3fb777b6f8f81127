"""What is in a media file: ffprobe's answer, or that of the av wheel in its words, as a small typed
record, within limits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import streams
from cvl_inside import InputError
from ffmpeg import BASE, input_args, run_quiet
from sniff import demuxer

MAX_PIXELS = 8192 * 4320
MAX_STREAMS = 32
MAX_SECONDS = 6 * 3600
_NO_INDEX = ("aac", "mp3")  # ffprobe guesses their length from the first bit rate
_DEFAULT_FPS = Fraction(25)
_FPS_RANGE = (Fraction(1), Fraction(120))


@dataclass(frozen=True)
class Picture:
    """The first real video stream; width and height are as displayed: turned, square pixels."""

    stream: int
    codec: str
    width: int
    height: int
    fps: Fraction
    plain: bool  # neither turned nor with oblong pixels


@dataclass(frozen=True)
class Sound:
    stream: int
    codec: str
    channels: int
    rate: int


@dataclass(frozen=True)
class Media:
    path: Path
    demuxer: str
    seconds: float
    picture: Picture | None = None
    sound: Sound | None = None
    picture_seconds: float = 0.0


def probe(path: Path, name: str) -> Media:
    """Look at one file; `name` is what messages call it."""
    kind = demuxer(path)
    try:
        answer = streams.read(path, kind, MAX_STREAMS) if streams.INSTALLED else _ask(path, kind)
    except ValueError as error:
        raise InputError(
            f"The {name} cannot be read as {kind}: {error}", code="unreadable"
        ) from None
    media = parse(answer, path, kind)
    if not media.picture and not media.sound:
        raise InputError(f"The {name} has neither picture nor sound.", code="no_streams")
    if media.seconds <= 0 or (kind in _NO_INDEX and not media.picture):
        media = _with_measured_length(media)
    return _limited(media, name)


def _ask(path: Path, kind: str) -> dict[str, Any]:
    """ffprobe's answer; ValueError with its last line when it has none."""
    argv = ["ffprobe", "-v", "error", "-protocol_whitelist", "file", "-f", kind,
            "-max_streams", str(MAX_STREAMS), "-show_format", "-show_streams",
            "-of", "json", f"file:{path}"]  # fmt: skip
    done = run_quiet(argv, 60)
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or ["no message"])[-1])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def parse(answer: dict[str, Any], path: Path, kind: str) -> Media:
    """ffprobe's JSON as a Media."""
    streams: list[dict[str, Any]] = answer.get("streams", [])
    video = next(
        (
            s
            for s in streams
            if s.get("codec_type") == "video"
            and s.get("width")
            and not s.get("disposition", {}).get("attached_pic")
        ),
        None,
    )
    audio = next((s for s in streams if s.get("codec_type") == "audio"), None)
    form = answer.get("format", {})
    seconds = _number(form.get("duration"))
    if kind == "wav" and audio:
        # A WAV written to a pipe states a length it does not have.
        held = 8 * path.stat().st_size / max(1.0, _number(audio.get("bit_rate")))
        seconds = min(seconds, held) if seconds else held
    return Media(
        path,
        kind,
        seconds,
        _picture(video) if video else None,
        _sound(audio) if audio else None,
        _stream_seconds(video, seconds),
    )


def _picture(stream: dict[str, Any]) -> Picture:
    width, height = int(stream["width"]), int(stream["height"])
    aspect = _ratio(stream.get("sample_aspect_ratio", "1:1").replace(":", "/")) or Fraction(1)
    turned = _rotation(stream)
    shown = (max(1, round(width * aspect)), height)
    if turned % 180 == 90:
        shown = (shown[1], shown[0])
    return Picture(
        int(stream["index"]),
        str(stream.get("codec_name", "unknown")),
        *shown,
        fps=_fps(stream),
        plain=turned == 0 and aspect == 1,
    )


def _rotation(stream: dict[str, Any]) -> int:
    sides = [s.get("rotation") for s in stream.get("side_data_list", [])]
    turns = [*(s for s in sides if s is not None), stream.get("tags", {}).get("rotate", 0)]
    return round(_number(turns[0])) % 360


def _fps(stream: dict[str, Any]) -> Fraction:
    for key in ("avg_frame_rate", "r_frame_rate"):
        rate = _ratio(stream.get(key, "0/0"))
        if rate and _FPS_RANGE[0] <= rate <= _FPS_RANGE[1]:
            return rate.limit_denominator(1001)
    return _DEFAULT_FPS


def _sound(stream: dict[str, Any]) -> Sound:
    return Sound(
        int(stream["index"]),
        str(stream.get("codec_name", "unknown")),
        int(stream.get("channels") or 1),
        int(stream.get("sample_rate") or 48000),
    )


def _stream_seconds(stream: dict[str, Any] | None, default: float) -> float:
    if not stream:
        return 0.0
    stated = _number(stream.get("duration"))
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.get("tags", {}).get("DURATION", ""))
    if not stated and tag:
        stated = int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    return stated or default


def _ratio(text: str) -> Fraction | None:
    top, _, bottom = text.partition("/")
    if not (top.isdigit() and bottom.isdigit()) or int(top) == 0 or int(bottom) == 0:
        return None
    return Fraction(int(top), int(bottom))


def _number(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return 0.0
    return number if 0 <= abs(number) < float("inf") else 0.0


def _with_measured_length(media: Media) -> Media:
    """For files that state no length, or not for sure: read all packets once."""
    streams = [s.stream for s in (media.picture, media.sound) if s]
    maps = [part for stream in streams for part in ("-map", f"0:{stream}")]
    argv = [*BASE, *input_args(media.path, media.demuxer), *maps, "-c", "copy",
            "-progress", "pipe:1", "-f", "null", "-"]  # fmt: skip
    times = re.findall(r"out_time_us=(\d+)", run_quiet(argv, 600).stdout)
    seconds = int(times[-1]) / 1e6 if times else 0.0
    return Media(media.path, media.demuxer, seconds, media.picture, media.sound, seconds)


def _limited(media: Media, name: str) -> Media:
    picture = media.picture
    if media.seconds <= 0:
        raise InputError(f"The {name} has no length: it holds no frames.", code="no_length")
    if picture and picture.width * picture.height > MAX_PIXELS:
        raise InputError(
            f"The {name} is {picture.width}x{picture.height}, which is too large.",
            hint="At most 8192x4320.",
            code="too_large",
        )
    if media.seconds > MAX_SECONDS:
        raise InputError(f"The {name} is longer than {MAX_SECONDS // 3600} hours.", code="too_long")
    return media
