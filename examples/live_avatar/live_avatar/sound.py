"""The speech as samples: 16 kHz, one channel, whatever file it comes in."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

RATE = 16000
SHORTEST_S = 0.1
LONGEST_S = 7200.0
MONO = f"aresample={RATE}:ochl=mono:rematrix_maxval=1"
"""Channels are averaged: without a limit, ffmpeg adds up what is in several of them."""


def read_sound(path: str | Path, ffmpeg: str = "ffmpeg") -> np.ndarray:
    """Float32 [samples] of -1 to 1: the first sound track. Raises ValueError, one sentence, when
    there is none, or when it is shorter than 0.1 s or longer than 2 hours."""
    command = [ffmpeg, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    command += ["-i", f"file:{Path(path).resolve()}", "-map", "0:a:0", "-af", MONO]
    command += ["-f", "f32le", "-t", f"{LONGEST_S + 1}", "pipe:1"]
    with tempfile.TemporaryFile() as decoded:
        subprocess.run(command, stdout=decoded, stderr=subprocess.DEVNULL, check=False)
        decoded.seek(0)
        samples = np.fromfile(decoded, dtype="<f4")
    check_length(len(samples) / RATE)
    if not np.isfinite(samples).all():
        raise ValueError("The sound has samples that are no numbers.")
    return samples.astype(np.float32, copy=False)


def check_length(seconds: float) -> None:
    """Raises ValueError, one sentence, for a sound that no video can be made of."""
    if seconds == 0:
        raise ValueError("The audio holds no sound track that can be decoded.")
    if seconds < SHORTEST_S:
        raise ValueError(f"The sound is too short: {seconds:.3f} s, at least {SHORTEST_S:g} s.")
    if seconds > LONGEST_S:
        hours = LONGEST_S / 3600
        raise ValueError(f"The sound is longer than {hours:g} hours: make a video of each part.")
