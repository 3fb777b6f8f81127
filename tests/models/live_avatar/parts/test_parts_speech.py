"""The speech becomes upstream's numbers for each frame."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import small_parts
import torch
from live_avatar import speech as module
from live_avatar.sound import LONGEST_S, check_length, read_sound
from live_avatar.speech import Speech, step_of_frames
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2ForCTC

GOLDEN = np.load(small_parts.GOLDEN / "speech.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    small_parts.avatar.write_speech(folder, small_parts.weight)
    return folder


@pytest.fixture(scope="module")
def speech(folder: Path) -> Speech:
    return Speech(folder)


def test_real_names_and_shapes() -> None:
    """Of transformers 5, as of the version that upstream has."""
    with torch.device("meta"):
        real = Wav2Vec2ForCTC(small_parts.real_speech_config())
    assert small_parts.shapes(real) == GOLDEN["names"].tolist()


def test_weights_by_their_older_names(folder: Path) -> None:
    """The file has weight_g and weight_v, as from before torch had parametrisations."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    convolution = "wav2vec2.encoder.pos_conv_embed.conv"
    assert {f"{convolution}.weight_g", f"{convolution}.weight_v"} < names


def thinned(features: torch.Tensor) -> torch.Tensor:
    """As golden.py thins them."""
    chosen = features[0].permute(2, 0, 1)
    return torch.cat([chosen[::3, ::4, ::5], chosen[::3, -1:, ::5]], dim=1)


@pytest.mark.parametrize("seconds", small_parts.SECONDS)
def test_features(speech: Speech, seconds: float) -> None:
    features = speech.features(small_parts.sound(seconds), small_parts.CLIP)
    assert features.shape == (1, 25, 32, int(GOLDEN[f"clips_{seconds}"]) * small_parts.CLIP)
    theirs = torch.from_numpy(GOLDEN[f"heard_{seconds}"])
    assert float((thinned(features) - theirs).abs().max()) <= 1e-4
    assert not features[..., round(seconds * 25) + 1 :].any()


def test_the_step_of_each_frame() -> None:
    """For sounds of all lengths to 4.3 s, and around the ends of clips."""
    for steps, theirs in zip(GOLDEN["steps"], GOLDEN["frames"], strict=True):
        ours = step_of_frames(int(steps), small_parts.CLIP)
        ours = torch.where(ours < steps, ours + 1, 0)
        assert ours.tolist() == theirs[theirs >= 0].tolist(), steps


def test_pieces_of_the_convolutions_change_nothing(
    speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = speech.features(small_parts.sound(3.37))
    monkeypatch.setattr(module, "AT_ONCE", 7)
    pieces = speech.features(small_parts.sound(3.37))
    assert float((whole - pieces).abs().max()) <= 1e-5


def test_later_sound_is_heard_in_the_frames_before(speech: Speech) -> None:
    """Since all of it is heard at once, as upstream does: parts of a sound give other numbers."""
    long = small_parts.sound(3.37)
    first = speech.features(long)[..., :10]
    alone = speech.features(long[:16000])[..., :10]
    assert float((first - alone).abs().max()) > 1e-2


def test_silence_is_heard_as_silence(speech: Speech) -> None:
    features = speech.features(np.zeros(16000, np.float32))
    assert torch.isfinite(features).all()
    assert features[..., 3:20].any()


def test_other_weights_are_refused_by_their_names(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    tensors["another"] = tensors.pop("wav2vec2.encoder.layer_norm.weight")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(RuntimeError, match=r"another, wav2vec2\.encoder\.layer_norm\.weight"):
        Speech(tmp_path)


def write(path: Path, samples: np.ndarray, rate: int = 16000) -> None:
    """16 bits, [samples] or [samples, channels]."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(samples.ndim and samples.reshape(len(samples), -1).shape[1])
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((samples * 32768).astype("<i2").tobytes())


def test_sound_at_its_rate_is_read_bit_by_bit(tmp_path: Path) -> None:
    """As librosa and soundfile read it: 16 bits over 32768, channels averaged."""
    mono, other = small_parts.sound(1.0), small_parts.sound(1.0)[::-1]
    write(tmp_path / "mono.wav", mono)
    assert (read_sound(tmp_path / "mono.wav") == mono).all()
    write(tmp_path / "stereo.wav", np.stack([mono, other], 1))
    assert (read_sound(tmp_path / "stereo.wav") == (mono + other) / 2).all()


def test_other_sound_is_converted(tmp_path: Path) -> None:
    rate, seconds = 48000, 1.0
    time = np.arange(round(rate * seconds)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    write(tmp_path / "stereo.wav", np.stack([tone, tone], 1), rate)
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "stereo.wav"), "-b:a", "192k"]
    subprocess.run([*command, str(tmp_path / "stereo.mp3")], check=True)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    for name in ("stereo.wav", "stereo.mp3"):
        samples = read_sound(tmp_path / name)
        assert abs(len(samples) - 16000) < 1700  # MP3 adds what its frames need
        middle = samples[4000:12000]
        assert np.abs(middle - expected[4000:12000]).max() < 0.02, name


def test_what_no_video_can_be_made_of(tmp_path: Path) -> None:
    write(tmp_path / "short.wav", small_parts.sound(0.05))
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"too short: 0\.050 s"):
        read_sound(tmp_path / "short.wav")
    for name in ("text.wav", "missing.wav"):
        with pytest.raises(ValueError, match="no sound track"):
            read_sound(tmp_path / name)
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "f32le",
        "-ar",
        "16000",
        "-i",
        "pipe:0",
        "-c:a",
        "pcm_f32le",
    ]
    broken = np.full(16000, np.nan, "<f4").tobytes()
    subprocess.run([*command, str(tmp_path / "broken.wav")], input=broken, check=True)
    with pytest.raises(ValueError, match="no numbers"):
        read_sound(tmp_path / "broken.wav")
    check_length(LONGEST_S)
    with pytest.raises(ValueError, match="longer than 2 hours"):
        check_length(LONGEST_S + 1)
