"""The voice is put together from its chunks without seams, whatever the length."""

from __future__ import annotations

from pathlib import Path

import face_case as case
import numpy as np
import pytest
import speech_voice
from hallo2.separation import RATE, Separator

SHAPE = ("batch_size", 4, 3072, 256)


@pytest.fixture(scope="module")
def separator(tmp_path_factory: pytest.TempPathFactory) -> Separator:
    """Of a network that gives half of what it is shown."""
    path = tmp_path_factory.mktemp("separator") / "half.onnx"
    nodes = [case.Node("Mul", ["input", "half"], "output")]
    half = {"half": np.array(0.5, np.float32)}
    case.write(path, ("input", SHAPE), {"output": SHAPE}, nodes, half)
    return Separator(path)


@pytest.mark.parametrize("seconds", speech_voice.SECONDS)
def test_the_voice_is_that_of_audio_separator(tmp_path: Path, seconds: float) -> None:
    mix = speech_voice.mix(seconds)
    made = np.empty_like(mix)
    Separator(speech_voice.network(tmp_path)).separate(mix, made)
    with np.load(speech_voice.GOLDEN / "speech_voice.npz") as golden:
        theirs = golden[f"{seconds}"]
    assert theirs.std() > 0.1
    assert np.abs(made[speech_voice.seen(seconds)] - theirs).max() <= 1e-4


@pytest.mark.parametrize("seconds", [0.3, 5.92, 14.0])
def test_chunks_join_without_a_seam(separator: Separator, seconds: float) -> None:
    """What is louder than the network was trained with is made quieter for it alone."""
    times = np.arange(int(seconds * RATE)) / RATE
    voice = 1.6 * np.sin(2 * np.pi * 440 * times) * (1 + 0.5 * np.sin(times))
    mix = np.stack([voice, 0.5 * voice], axis=1).astype(np.float32)
    made = np.full_like(mix, np.nan)
    separator.separate(mix, made)
    inner = slice(2000, -2000)
    assert np.abs(made - mix / 2)[inner].max() < 2e-3


def test_what_lies_beyond_the_bins_of_the_network_is_no_voice(separator: Separator) -> None:
    """Below 17 Hz and above 17.6 kHz."""
    times = np.arange(8 * RATE) / RATE
    mix = np.stack([np.sin(2 * np.pi * 20000 * times), np.full_like(times, 0.5)], axis=1)
    made = np.empty(mix.shape, np.float32)
    separator.separate(mix.astype(np.float32), made)
    assert np.abs(made[RATE:-RATE]).max() < 0.01


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not there"):
        Separator(tmp_path / "none.onnx")
