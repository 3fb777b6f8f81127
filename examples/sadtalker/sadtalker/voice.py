"""Speech as the networks take it: a mel spectrogram of 80 bands every 12.5 ms."""

from __future__ import annotations

import math

import numpy as np

RATE = 16000
FPS = 25
BANDS = 80
WINDOW = 16  # rows of the spectrogram per frame: 200 ms
FFT, HOP = 800, 200
LOWEST, HIGHEST = 55, 7600  # Hz
EMPHASIS = 0.97
QUIETEST = 1e-5
LIMIT = 4.0
ROWS_PER_SECOND = RATE / HOP
AT_ONCE = 4096  # rows that are transformed together, for memory's sake
LINEAR_TO = 1000  # Hz; above, the scale is logarithmic
Array = np.ndarray


def frames_of(samples: int) -> int:
    """How many whole frames of video so much speech has."""
    return int(samples / (RATE / FPS))


def mel_spectrogram(wave: Array) -> Array:
    """(N,) at 16 kHz, in -1..1 -> (1 + N // 200, 80) in -4..4, float32."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    filters = mel_filters().astype(np.float64).T
    count, made = 1 + len(wave) // HOP, []
    for first in range(0, count, AT_ONCE):
        last = min(first + AT_ONCE, count)
        part = _emphasized(wave, first * HOP - FFT // 2, (last - 1) * HOP + FFT // 2)
        pieces = np.lib.stride_tricks.sliding_window_view(part, FFT)[::HOP]
        spectrum = np.abs(np.fft.rfft(pieces * window))
        decibels = 20 * np.log10(np.maximum(QUIETEST, spectrum @ filters)) - 20
        rows = np.clip(2 * LIMIT * (decibels + 100) / 100 - LIMIT, -LIMIT, LIMIT)
        made.append(rows.astype(np.float32))
    return np.concatenate(made)


def _emphasized(wave: Array, first: int, last: int) -> Array:
    """The samples first..last-1 with their high tones raised, in float64; nothing is round the
    wave."""
    begin, end = max(first, 0), min(last, len(wave))
    known = wave[max(begin - 1, 0) : end].astype(np.float64)
    raised = known.copy()
    raised[1:] -= EMPHASIS * known[:-1]
    return np.pad(raised[len(known) - (end - begin) :], (begin - first, last - end))


def windows(mel: Array, first: int, last: int) -> Array:
    """What is heard round each of the frames first..last-1: (n, 80, 16) in float32."""
    starts = [int(ROWS_PER_SECOND * ((frame - 2) / float(FPS))) for frame in range(first, last)]
    rows = np.array(starts)[:, None] + np.arange(WINDOW)
    return mel[np.clip(rows, 0, len(mel) - 1)].transpose(0, 2, 1)


def mel_filters() -> Array:
    """(80, 401) triangles on the scale of Slaney's auditory toolbox, each of the same area."""
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    edges = np.array([_hertz(edge) for edge in edges])
    bins = np.fft.rfftfreq(FFT, 1 / RATE)
    widths = np.diff(edges)
    ramps = edges[:, None] - bins
    rising, falling = -ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


STEP = 200 / 3  # Hz of a mel in the linear part
LOG_STEP = math.log(6.4) / 27


def _mel(hertz: float) -> float:
    if hertz < LINEAR_TO:
        return hertz / STEP
    return LINEAR_TO / STEP + math.log(hertz / LINEAR_TO) / LOG_STEP


def _hertz(mel: float) -> float:
    if mel < LINEAR_TO / STEP:
        return mel * STEP
    return LINEAR_TO * math.exp(LOG_STEP * (mel - LINEAR_TO / STEP))
