"""The speech becomes upstream's numbers for each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_parts
import torch
from live_avatar import speech as module
from live_avatar.speech import Speech, step_of_frames
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2ForCTC

GOLDEN = np.load(small_parts.GOLDEN / "speech.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    small_parts.write_speech(folder)
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
