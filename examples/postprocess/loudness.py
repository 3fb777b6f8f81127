"""Loudness after EBU R128: measure the finished sound, then apply one constant gain.

ffmpeg's loudnorm filter measures. It does not apply the gain: where the peaks leave no room it
leaves its linear mode for one that misses the target by several LU. Here peaks are limited
instead, and the gain is corrected by what the limiter took away.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from encode import sources
from ffmpeg import BASE, Report, run
from graph import number, sound_graph
from timeline import Timeline

TRUE_PEAK = -1.5
TOLERANCE = 0.1
_CORRECTIONS = 4
_MAX_STEP = 8.0
# At four times the rate, peaks between the samples are seen too.
_LIMIT_RATE = 192000


@dataclass(frozen=True)
class Loudness:
    integrated: float
    true_peak: float

    @property
    def is_silent(self) -> bool:
        return not math.isfinite(self.integrated) or self.integrated <= -70


@dataclass(frozen=True)
class Adjustment:
    """The filter that brings the sound to its target, and what it reaches."""

    filter: str
    before: float
    after: float
    limited: bool = False


def adjust(line: Timeline, target: float, folder: Path, report: Report) -> Adjustment | None:
    """What to do to reach `target`; None for silence."""
    found = measure(line, "", folder, report)
    if found.is_silent:
        return None
    gain = target - found.integrated
    if found.true_peak + gain <= TRUE_PEAK:
        return Adjustment(gain_filter(gain, limited=False), found.integrated, target)
    reached = found
    for _ in range(_CORRECTIONS):
        reached = measure(line, gain_filter(gain, limited=True), folder, report)
        missing = target - reached.integrated
        if abs(missing) <= TOLERANCE:
            break
        gain += min(_MAX_STEP, missing)
    else:
        reached = measure(line, gain_filter(gain, limited=True), folder, report)
    limiter = gain_filter(gain, limited=True)
    return Adjustment(limiter, found.integrated, reached.integrated, limited=True)


def measure(line: Timeline, applied: str, folder: Path, report: Report | None = None) -> Loudness:
    """Loudness of the finished sound with the filter `applied` to it."""
    graph = sound_graph(line, f"{applied}{',' if applied else ''}loudnorm=print_format=json")
    argv = [*BASE, "-loglevel", "info", *sources(line), "-filter_complex", ";".join(graph),
            "-map", "[a]", "-f", "null", "-"]  # fmt: skip
    return parse(run(argv, folder, report))


def parse(printed: str) -> Loudness:
    """The figures that loudnorm prints at its end."""
    blocks = re.findall(r"\{[^{}]*\"input_i\"[^{}]*\}", printed)
    if not blocks:
        raise RuntimeError("ffmpeg printed no loudness")
    figures = json.loads(blocks[-1])
    return Loudness(float(figures["input_i"]), float(figures["input_tp"]))


def gain_filter(gain: float, *, limited: bool) -> str:
    """A constant gain in dB, with the peaks held below the limit where they would pass it."""
    volume = f"volume={number(gain)}dB:precision=float"
    if not limited:
        return volume
    ceiling = number(10 ** (TRUE_PEAK / 20))
    return (
        f"{volume},aresample={_LIMIT_RATE},"
        f"alimiter=limit={ceiling}:attack=2:release=40:level=disabled"
    )
