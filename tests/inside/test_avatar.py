"""What examples that make a picture speak have in common: the speech and the face."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from cvl.inside.cvl_inside.avatar import RATE, read_speech, write_track
from cvl.inside.cvl_inside.predictor import InputError

HOUR = 3600.0


def tone(seconds: float, rate: int = RATE, hertz: float = 440) -> np.ndarray:  # type: ignore[type-arg]
    """Half of full scale, as 16 bits keep it."""
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    return np.round(samples * 32768) / 32768


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> str:  # type: ignore[type-arg]
    """16 bits, [samples] or [samples, channels]."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((samples * 32768).astype("<i2").tobytes())
    return str(path)


def made(path: Path, *source: str) -> str:
    subprocess.run(["ffmpeg", "-v", "error", *source, str(path)], check=True)
    return str(path)


def test_speech_at_its_rate_is_read_bit_by_bit_and_channels_are_averaged(tmp_path: Path) -> None:
    mono, other = tone(1.0), tone(1.0, hertz=300)
    assert (read_speech(write(tmp_path / "mono.wav", mono), HOUR).samples == mono).all()
    stereo = write(tmp_path / "stereo.wav", np.stack([mono, other], 1))
    assert (read_speech(stereo, HOUR).samples == (mono + other) / 2).all()


def test_other_speech_is_converted_also_that_of_a_video(tmp_path: Path) -> None:
    high = tone(1.0, 48000)
    stereo = write(tmp_path / "stereo.wav", np.stack([high, high], 1), 48000)
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:duration=1")
    files = (
        stereo,
        made(tmp_path / "stereo.mp3", "-i", stereo, "-b:a", "192k"),
        made(tmp_path / "video.mp4", *picture, "-i", stereo),
    )
    for file in files:
        speech = read_speech(file, HOUR)
        assert abs(speech.seconds - 1) < 0.11  # coders add what their frames need
        loudest = np.abs(speech.samples[4000:12000]).max()
        assert loudest == pytest.approx(0.5, abs=0.02), file


def test_the_track_of_a_video_is_the_speech_as_it_was_given(tmp_path: Path) -> None:
    high = tone(1.0, 48000)
    speech = read_speech(write(tmp_path / "a.wav", np.stack([high, high / 2], 1), 48000), HOUR)
    with wave.open(write_track(speech, 0.5, str(tmp_path / "track.wav"))) as track:
        assert (track.getframerate(), track.getnchannels(), track.getnframes()) == (48000, 2, 24000)


LAVFI = ("-f", "lavfi", "-i")
REFUSED = {
    "no sound": (("-f", "lavfi", "-i", "testsrc=size=64x64:duration=1"), "a.mp4", "no sound track"),
    "a tenth of a second": ((*LAVFI, "sine=duration=0.1"), "a.wav", "0.10 s long"),
    "too long": ((*LAVFI, "sine=sample_rate=8000:duration=61"), "a.flac", "longer than 1 minutes"),
    "silence": ((*LAVFI, "anullsrc=r=16000:d=1"), "a.wav", "silent"),
    "no numbers": (
        (*LAVFI, "aevalsrc=0/0:d=1", "-c:a", "pcm_f32le"), "a.wav", "no numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_can_speak_is_refused(name: str, tmp_path: Path) -> None:
    source, file, told = REFUSED[name]
    with pytest.raises(InputError, match=told) as caught:
        read_speech(made(tmp_path / file, *source), 60.0)
    assert caught.value.hint and caught.value.code == "bad_audio"
