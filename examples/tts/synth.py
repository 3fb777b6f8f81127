"""Run the speech engines and join what they say into one WAV file."""

from __future__ import annotations

import subprocess
import wave
from array import array
from collections.abc import Callable
from pathlib import Path

from cvl_inside import InputError, ffmpeg
from voices import Voice

# Quieter than this is silence: the engines leave a few units of noise around the words.
_SILENCE = 48
_EDGE_SECONDS = 0.02
_SENTENCE_TIMEOUT = 120


def speak_all(
    voice: Voice, sentences: list[str], pause: float, work: Path, progress: Callable[[int], None]
) -> Path:
    """Say every sentence and return a raw file: 16-bit mono samples at the voice's played_rate."""
    raw = work / "joined.raw"
    gap = bytes(2 * round(pause * voice.played_rate))
    with raw.open("wb") as joined:
        for number, sentence in enumerate(sentences, 1):
            samples = trim(speak(voice, sentence, work), voice.played_rate)
            if samples and joined.tell():
                joined.write(gap)
            joined.write(samples.tobytes())
            progress(number)
    if not raw.stat().st_size:
        raise InputError(
            "The voice made no sound of this text.",
            hint="Take a voice of the text's own language.",
            code="no_speech",
        )
    return raw


def speak(voice: Voice, sentence: str, work: Path) -> array[int]:
    """One sentence through one engine process; the text goes through a file, never argv."""
    text_file, wav_file = work / "sentence.txt", work / "sentence.wav"
    text_file.write_text(voice.prepare(sentence) + "\n", encoding="utf-8")
    wav_file.unlink(missing_ok=True)
    done = subprocess.run(
        voice.argv(str(text_file), str(wav_file)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=_SENTENCE_TIMEOUT,
    )
    if done.returncode or not wav_file.exists():
        last = " ".join(done.stderr.decode("utf-8", "replace").split()[-40:])
        raise RuntimeError(f"The speech engine failed with code {done.returncode}. {last}")
    return _samples(wav_file, voice.rate)


def _samples(wav_file: Path, rate: int) -> array[int]:
    with wave.open(str(wav_file), "rb") as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (rate, 1, 2):
            raise RuntimeError(f"The speech engine wrote an unexpected format: {sound.getparams()}")
        return array("h", sound.readframes(sound.getnframes()))


def trim(samples: array[int], rate: int) -> array[int]:
    """Without the engine's own silence at both ends, so that only `pause` sets the gaps."""
    edge = round(_EDGE_SECONDS * rate)
    first = next((i for i, s in enumerate(samples) if abs(s) > _SILENCE), None)
    if first is None:
        return array("h")
    last = next(i for i in range(len(samples) - 1, -1, -1) if abs(samples[i]) > _SILENCE)
    return samples[max(0, first - edge) : last + 1 + edge]


def resample(raw: Path, source_rate: int, rate: int) -> Path:
    """The same sound at another rate; returns `raw` itself when the rates agree."""
    if source_rate == rate:
        return raw
    target = raw.with_name("resampled.raw")
    argv = [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-threads", "1",
            "-f", "s16le", "-ar", str(source_rate), "-ac", "1", "-i", f"file:{raw}",
            "-af", "aresample=filter_size=64:cutoff=0.97", "-flags", "+bitexact",
            "-ar", str(rate), "-f", "s16le", f"file:{target}"]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, timeout=600)
    if done.returncode:
        tail = done.stderr.decode("utf-8", "replace")[-500:]
        raise RuntimeError(f"ffmpeg could not resample the speech. {tail}")
    return target


def write_wav(raw: Path, rate: int, output: str) -> float:
    """A WAV file whose header states its true length; returns the seconds."""
    with raw.open("rb") as samples, wave.open(output, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.setnframes(raw.stat().st_size // 2)
        for block in iter(lambda: samples.read(1 << 20), b""):
            sound.writeframesraw(block)
    return raw.stat().st_size / 2 / rate
