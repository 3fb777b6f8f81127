"""Listen to the speech: how open and how round the mouth is in every frame."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cvl_inside import InputError, ffmpeg

RATE = 16000
WINDOW = 1024  # 64 ms: two periods of the deepest voice
SILENCE_DB = -50.0  # of full scale; below it nobody speaks
DYNAMICS_DB = 32.0  # from the loudest vowels down to a closed mouth
ATTACK_S, RELEASE_S = 0.030, 0.085
LAST = 1.2  # of the opening per second, the slowest that a mouth closes
LEAD_S = 0.02  # lips move before the sound comes


@dataclass(frozen=True)
class Shape:
    """One frame's mouth: `open` 0..1, `wide` -1 (oo) to 1 (ee)."""

    open: float
    wide: float


def listen(audio: str, fps: int) -> list[Shape]:
    """The mouth's shape for every frame of the speech."""
    measured = np.array(list(_measure(audio, fps)), np.float64)
    if not len(measured):
        raise InputError(
            "The audio holds no sound track that can be decoded.",
            hint="Use a WAV, MP3, FLAC, Ogg or M4A file.",
            code="bad_audio",
        )
    loud, first, second, hiss = measured.T
    vowel = np.clip((first - 280) / 420, 0, 1)  # the first formant rises as the jaw drops
    opening = _opening(loud) * (0.5 + 0.5 * vowel) * (1 - 0.6 * hiss)
    opening = _follow(opening, fps)
    wide = _wideness(first, second) * (1 - hiss) + 0.4 * hiss
    return [Shape(float(o), float(w)) for o, w in zip(opening, _smooth(wide, opening, fps))]


def _measure(audio: str, fps: int) -> Iterator[tuple[float, float, float, float]]:
    """Loudness in dB, two formants in Hz and the share of hiss, frame by frame."""
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    taper = np.hanning(WINDOW)
    for samples in _windows(audio, fps, round(LEAD_S * RATE)):
        power = np.abs(np.fft.rfft(samples * taper)) ** 2 + 1e-9
        first = _centre(hertz, power, 150, 1000)
        second = _centre(hertz, power * hertz, 700, 3000)
        hiss = float(power[hertz > 3500].sum() / power[hertz > 150].sum())
        middle = samples[WINDOW // 4 : -WINDOW // 4]
        rms = math.sqrt(float(np.mean(middle**2)))
        yield 20 * math.log10(max(rms, 1e-6)), first, second, min(1.0, hiss * 1.5)


def _centre(hertz: np.ndarray, power: np.ndarray, low: float, high: float) -> float:
    band = (hertz >= low) & (hertz < high)
    return float((hertz[band] * power[band]).sum() / power[band].sum())


def _windows(audio: str, fps: int, ahead: int) -> Iterator[np.ndarray]:
    """The samples around the middle of every frame; one frame for each that has begun."""
    path = Path(audio).resolve()
    command = [ffmpeg(), "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    command += ["-i", f"file:{path}", "-map", "0:a:0", "-ac", "1", "-ar", str(RATE)]
    command += ["-f", "s16le", "-acodec", "pcm_s16le", "pipe:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        held, start, total, frame = np.zeros(WINDOW, np.float32), -WINDOW, 0, 0
        while True:
            block = process.stdout.read(RATE * 2)
            total += len(block) // 2
            ended = len(block) < RATE * 2
            if ended and not total:
                return
            fresh = np.frombuffer(block[: len(block) // 2 * 2], np.int16).astype(np.float32) / 32768
            held = np.concatenate([held, fresh, np.zeros(2 * WINDOW if ended else 0, np.float32)])
            frames = max(1, round(total / RATE * fps)) if ended else math.inf
            while frame < frames:
                begin = round((frame + 0.5) * RATE / fps) + ahead - WINDOW // 2 - start
                if begin + WINDOW > len(held):
                    break
                yield held[begin : begin + WINDOW].astype(np.float64)
                frame += 1
            if ended:
                return
            keep = min(len(held), 2 * WINDOW + RATE // 10 * 2)
            start += len(held) - keep
            held = held[-keep:]


def _opening(loudness: np.ndarray) -> np.ndarray:
    """0 to 1, where 1 is as loud as this speaker's loud vowels."""
    voiced = loudness[loudness > SILENCE_DB]
    if not len(voiced):
        return np.zeros_like(loudness)
    peak = max(float(np.percentile(voiced, 95)), SILENCE_DB + 12)
    level = np.clip((loudness - peak) / DYNAMICS_DB + 1, 0, 1.05)
    return np.where(loudness > SILENCE_DB, level**1.8, 0)


def _wideness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """-1 for oo (both formants low), 1 for ee (first low, second high), 0 for ah."""
    rounded = np.clip((720 - first) / 260, 0, 1) * np.clip((2050 - second) / 350, 0, 1)
    spread = np.clip((560 - first) / 200, 0, 1) * np.clip((second - 1950) / 350, 0, 1)
    return spread - rounded


def _follow(wanted: np.ndarray, fps: int) -> np.ndarray:
    """A jaw has mass: it opens fast and closes slower."""
    rise, fall = (1 - math.exp(-1 / (fps * time)) for time in (ATTACK_S, RELEASE_S))
    moved, value = np.empty_like(wanted), 0.0
    for index, target in enumerate(wanted):
        if target > value:
            value += (target - value) * rise
        else:  # the last bit is not drawn out: lips that are nearly shut do shut
            value -= min(value - target, max((value - target) * fall, LAST / fps))
        moved[index] = value
    return moved


def _smooth(wide: np.ndarray, opening: np.ndarray, fps: int) -> np.ndarray:
    """Lips travel slowly, and what is said loudly counts for more; a silent mouth is at rest."""
    reach = max(1, round(0.06 * fps))
    kernel = np.hanning(2 * reach + 3)[1:-1]

    def blur(values: np.ndarray) -> np.ndarray:
        return np.convolve(np.pad(values, reach, mode="edge"), kernel, mode="valid")

    weight = opening + 1e-3
    return blur(wide * weight) / blur(weight) * np.clip(opening / 0.15, 0, 1)
