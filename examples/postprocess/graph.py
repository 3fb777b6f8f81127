"""Filter graphs as text, from numbers, choices and fixed names only.

No text of the user's ever stands in a filter string: a watermark and subtitles are read by ffmpeg
from files with these fixed names, relative to the folder that ffmpeg runs in.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from options import Options
from probe import Media, Picture
from timeline import Timeline

WATERMARK_FILE = "watermark.txt"
SUBTITLE_FILE = "subtitles.ass"
FONTS = Path(__file__).resolve().parent / "fonts"
FONT = "DejaVuSans.ttf"
FONTS_LINK = "fonts"
_MARGIN = "h/36"
_PLACES = {
    "top-left": (_MARGIN, _MARGIN),
    "top-right": (f"w-tw-{_MARGIN}", _MARGIN),
    "bottom-left": (_MARGIN, f"h-th-{_MARGIN}"),
    "bottom-right": (f"w-tw-{_MARGIN}", f"h-th-{_MARGIN}"),
    "center": ("(w-tw)/2", "(h-th)/2"),
    "top": ("(w-tw)/2", _MARGIN),
    "bottom": ("(w-tw)/2", f"h-th-{_MARGIN}"),
}
# Room below which joined sounds are kept from clipping.
_CEILING = 0.97


def number(value: float | Fraction) -> str:
    """Plain decimal notation: filters do not read exponents everywhere."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".")


def rate(fps: Fraction) -> str:
    return f"{fps.numerator}/{fps.denominator}"


# --- picture --------------------------------------------------------------------------------------


def picture_graph(line: Timeline, watermark_size: int = 0) -> list[str]:
    """Chains that end in [v]; a watermark is drawn when it has a font size."""
    chains = [_clip_chain(line, i) for i in range(len(line.clips))]
    joined = "[v0]"
    if len(line.clips) > 1:
        joined = "".join(f"[v{i}]" for i in range(len(line.clips)))
        chains.append(f"{joined}concat=n={len(line.clips)}:v=1:a=0[joined]")
        joined = "[joined]"
    return [*chains, f"{joined}{','.join(_finish(line, watermark_size))}[v]"]


def _clip_chain(line: Timeline, index: int) -> str:
    clip, (width, height) = line.clips[index], line.size
    picture = clip.picture
    assert picture is not None
    steps = [
        f"fps=fps={rate(line.fps)}:start_time=0",
        *_fit(picture, width, height, line.options),
        "setsar=1",
        "format=yuv420p",
        # The last picture is held, or the clip cut, so that there are exactly this many frames.
        "tpad=stop=-1:stop_mode=clone",
        f"trim=end_frame={line.shown_frames[index]}",
    ]
    return f"[{index}:{picture.stream}]{','.join(steps)}[v{index}]"


def _fit(picture: Picture, width: int, height: int, options: Options) -> list[str]:
    """Steps from the source's size to width x height."""
    source = (picture.width, picture.height)
    if source == (width, height):
        return [] if picture.plain else [f"scale={width}:{height}:flags=bicubic"]
    if (
        picture.plain
        and options.width is None
        and options.height is None
        and (0 <= width - source[0] <= 1 and 0 <= height - source[1] <= 1)
    ):
        return [f"pad={width}:{height}:0:0"]  # an odd side: one more line is better than a rescale
    inner = fitted(source, (width, height), options.fit)
    steps = [f"scale={inner[0]}:{inner[1]}:flags=bicubic"]
    if inner == (width, height):
        return steps
    if options.fit == "crop":
        return [*steps, f"crop={width}:{height}"]
    return [*steps, f"pad={width}:{height}:{(width - inner[0]) // 2}:{(height - inner[1]) // 2}"]


def fitted(source: tuple[int, int], target: tuple[int, int], fit: str) -> tuple[int, int]:
    """The size to scale to: inside the target (pad), around it (crop), or exactly it (stretch)."""
    if fit == "stretch":
        return target
    factors = [Fraction(t, s) for t, s in zip(target, source)]
    factor = min(factors) if fit == "pad" else max(factors)
    sides = [max(2, round(s * factor)) for s in source]
    keep = min if fit == "pad" else max
    return keep(sides[0], target[0]), keep(sides[1], target[1])


def _finish(line: Timeline, watermark_size: int) -> list[str]:
    """Everything that is laid over the joined clips, then the cut, then the fades."""
    options, (start, stop) = line.options, line.cut
    steps = []
    if options.subtitles and options.subtitle_mode == "burn":
        steps.append(f"ass=filename={SUBTITLE_FILE}:fontsdir={FONTS_LINK}")
    if watermark_size:
        steps.append(_drawtext(options.watermark_position, watermark_size))
    if (start, stop) != (0, sum(line.shown_frames)):
        steps += [f"trim=start_frame={start}:end_frame={stop}", "setpts=PTS-STARTPTS"]
    return [*steps, *_fades("fade", options, line.seconds), "format=yuv420p"]


def _drawtext(position: str, size: int) -> str:
    x, y = _PLACES[position]
    return (
        f"drawtext=fontfile={FONTS_LINK}/{FONT}:textfile={WATERMARK_FILE}:expansion=none:fontsize={size}"
        f":fontcolor=white@0.85:bordercolor=black@0.6:borderw={max(1, size // 14)}:x={x}:y={y}"
    )


def _fades(name: str, options: Options, seconds: float) -> list[str]:
    steps = []
    if options.fade_in:
        steps.append(f"{name}=t=in:st=0:d={number(options.fade_in)}")
    if options.fade_out:
        start = max(0.0, seconds - options.fade_out)
        steps.append(f"{name}=t=out:st={number(start)}:d={number(options.fade_out)}")
    return steps


def poster_graph(line: Timeline, watermark_size: int, seconds: float) -> list[str]:
    """The picture's chains, and one frame of them as [poster]."""
    frame = min(line.frames - 1, int(Fraction(seconds) * line.fps))
    picked = f"[v]trim=start_frame={frame}:end_frame={frame + 1},setpts=PTS-STARTPTS[poster]"
    return [*picture_graph(line, watermark_size), picked]


# --- sound ----------------------------------------------------------------------------------------


def sound_graph(line: Timeline, loudness: str = "") -> list[str]:
    """Chains that end in [a]; `loudness` is a filter of our own making, or nothing."""
    chains, heard = _own_sound(line)
    extra = len(line.clips)
    for media, gain in ((line.audio, 0.0), (line.music, line.options.music_gain)):
        if media and media.sound:
            volume = f",volume={number(gain)}dB" if gain else ""
            chains.append(f"[{extra}:{media.sound.stream}]{_plain_sound(line)}{volume}[s{extra}]")
            heard.append(f"[s{extra}]")
            extra += 1
    if len(heard) > 1:
        chains.append(f"{''.join(heard)}amix=inputs={len(heard)}:duration=longest:normalize=0[mix]")
    mixed = "[mix]" if len(heard) > 1 else heard[0]
    return [*chains, f"{mixed}{','.join(_finish_sound(line, loudness, len(heard) > 1))}[a]"]


def _own_sound(line: Timeline) -> tuple[list[str], list[str]]:
    """The clips' own sound one after the other, with silence for clips that have none."""
    if not line.own_sound:
        return [], []
    chains = [_clip_sound(line, clip, i) for i, clip in enumerate(line.clips)]
    if len(chains) == 1:
        return chains, ["[a0]"]
    labels = "".join(f"[a{i}]" for i in range(len(chains)))
    return [*chains, f"{labels}concat=n={len(chains)}:v=0:a=1[own]"], ["[own]"]


def _clip_sound(line: Timeline, clip: Media, index: int) -> str:
    end = number(line.clip_frames[index] / line.fps)
    if not clip.sound:
        silence = f"anullsrc=r={line.rate}:cl={line.layout},aformat=sample_fmts=fltp"
        return f"{silence},atrim=end={end}[a{index}]"
    return f"[{index}:{clip.sound.stream}]{_plain_sound(line)},apad,atrim=end={end}[a{index}]"


def _plain_sound(line: Timeline) -> str:
    """Gaps filled, late starts padded, one rate, one layout: what concat and amix need."""
    return (
        f"aresample={line.rate}:async=1:first_pts=0,"
        f"aformat=sample_fmts=fltp:sample_rates={line.rate}:channel_layouts={line.layout}"
    )


def _finish_sound(line: Timeline, loudness: str, mixed: bool) -> list[str]:
    start, stop = (number(frame / line.fps) for frame in line.cut)
    steps = ["apad", f"atrim=start={start}:end={stop}", "asetpts=PTS-STARTPTS"]
    if mixed and line.options.loudness is None:
        steps.append(f"alimiter=limit={_CEILING}:level=disabled")
    steps += _fades("afade", line.options, line.seconds)
    if loudness:
        steps += [loudness, f"aresample={line.rate}"]  # its limiter works at a higher rate
    return [*steps, f"aformat=channel_layouts={line.layout}"]
