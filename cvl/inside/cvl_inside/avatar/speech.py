"""The speech: read from whatever holds it, and refused when nobody could speak it."""

import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any, List

from ..predictor import InputError
from ..programs import ffmpeg

RATE = 16000
LEAST_S = 0.25
SILENCE_DB = -50.0
"""Of full scale; what is never louder is silent."""
MONO = f"aresample={RATE}:ochl=mono:rematrix_maxval=1"
"""Channels are averaged: without a limit, ffmpeg adds up what is in several of them."""


@dataclass(frozen=True)
class Speech:
    """samples: float32 [n], -1 to 1, one channel at RATE. path: where they were read from."""

    samples: Any
    path: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE


def read_speech(path: str, most_s: float) -> Speech:
    """The first sound track of any file that has one, also of a video. Raises InputError for what
    cannot be spoken: no sound, less than LEAST_S or more than `most_s` of it, silence."""
    import numpy as np

    command = [*_reading(path), "-t", f"{most_s + 1}", "-af", MONO]
    with tempfile.TemporaryFile() as decoded:
        subprocess.run(
            [*command, "-f", "f32le", "pipe:1"],
            stdout=decoded,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        decoded.seek(0)
        samples = np.fromfile(decoded, dtype="<f4").astype(np.float32, copy=False)
    speech = Speech(samples, path)
    _check(speech, most_s)
    return speech


def write_track(speech: Speech, seconds: float, target: str) -> str:
    """Its first seconds as they were given, in their own rate and channels, as WAV; `target`."""
    command = [*_reading(speech.path), "-t", f"{seconds:.6f}", "-c:a", "pcm_s16le"]
    subprocess.run([*command, "-f", "wav", "-y", f"file:{target}"], check=True)
    return target


def _reading(path: str) -> List[str]:
    """Of ffmpeg, which opens that file alone, whatever a playlist in it names."""
    return [
        ffmpeg(), "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe",
        "-i", f"file:{path}", "-map", "0:a:0",
    ]  # fmt: skip


def _check(speech: Speech, most_s: float) -> None:
    import numpy as np

    if not len(speech.samples):
        raise InputError(
            "the audio holds no sound track that can be decoded",
            "use a WAV, MP3, FLAC, Ogg or M4A file, or a video with sound",
            "bad_audio",
        )
    if not np.isfinite(speech.samples).all():
        raise InputError(
            "the audio holds samples that are no numbers (NaN)", "export it anew", "bad_audio"
        )
    if speech.seconds < LEAST_S:
        raise InputError(
            f"the audio is {speech.seconds:.2f} s long, and at least {LEAST_S} s are needed",
            "give a longer recording",
            "bad_audio",
        )
    if speech.seconds > most_s:
        raise InputError(
            f"the audio is longer than {most_s / 60:.0f} minutes",
            "cut it, and make a video of each part",
            "bad_audio",
        )
    if float(np.abs(speech.samples).max()) < 10 ** (SILENCE_DB / 20):
        raise InputError(
            "the audio is silent: nobody would speak",
            "give a recording in which something is said",
            "bad_audio",
        )
