"""The speech: read from whatever holds it, and refused before anything large is loaded when nobody
could speak it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cvl_inside import InputError, ffmpeg

RATE = 16000
LEAST_S = 0.25
MOST_S = 1800.0
SILENCE_DB = -50.0
"""Of full scale; what is never louder is silent."""


@dataclass(frozen=True)
class Speech:
    """samples: float32 -1 to 1, mono at RATE, all that is to be spoken."""

    samples: Any
    path: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def read_speech(path: str) -> Speech:
    """Of any file with sound, also a video. Raises InputError for what cannot be spoken."""
    command = [*_reading(path), "-t", f"{MOST_S + 1}", "-ac", "1", "-ar", str(RATE)]
    command += ["-f", "s16le", "-acodec", "pcm_s16le", "pipe:1"]
    raw = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    ).stdout
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float32) / 32768
    speech = Speech(samples, path)
    _check(speech)
    return speech


def write_track(speech: Speech, seconds: float, target: Path) -> str:
    """The first seconds of the sound as it was given: its own rate and channels, as WAV."""
    command = [*_reading(speech.path), "-t", f"{seconds:.6f}", "-c:a", "pcm_s16le"]
    subprocess.run([*command, "-y", f"file:{target}"], check=True)
    return str(target)


def _reading(path: str) -> list[str]:
    """Of ffmpeg, which opens files alone, whatever a playlist names."""
    return [
        ffmpeg(), "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe",
        "-i", f"file:{Path(path).resolve()}", "-map", "0:a:0",
    ]  # fmt: skip


def _check(speech: Speech) -> None:
    if not len(speech.samples):
        raise InputError(
            "the audio holds no sound track that can be decoded",
            "use a WAV, MP3, FLAC, Ogg or M4A file, or a video with sound",
            "bad_audio",
        )
    if speech.seconds < LEAST_S:
        raise InputError(
            f"the audio is {speech.seconds:.2f} s long, and at least {LEAST_S} s are needed",
            "give a longer recording",
            "bad_audio",
        )
    if speech.seconds > MOST_S:
        raise InputError(
            f"the audio is longer than {MOST_S / 60:.0f} minutes",
            "cut it: five seconds of it are a clip, and a clip takes minutes on a GPU",
            "bad_audio",
        )
    loudest = float(np.abs(speech.samples).max())
    if loudest < 10 ** (SILENCE_DB / 20):
        raise InputError(
            "the audio is silent: nobody would speak",
            "give a recording in which something is said",
            "bad_audio",
        )
