"""What is heard is what upstream's code hears, and takes no more memory for a longer speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import speech_case as case
import torch
from filling import fill
from hallo2.hearing import Listener
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wav2vec")
    network = Wav2Vec2ForCTC(Wav2Vec2Config(**case.SIZES))
    fill(network.wav2vec2)
    network.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(**case.EXTRACTOR).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def listener(folder: Path) -> Listener:
    return Listener(folder)


@pytest.mark.parametrize("name", case.SECONDS)
def test_each_frame_hears_what_it_does_upstream(listener: Listener, name: str) -> None:
    heard = listener.heard(case.sound(name), case.CLIP)
    clips = list(heard.split(case.CLIP))
    assert [tuple(clip.shape) for clip in clips] == [(16, 5, 12, 32)] * (len(heard) // 16)
    with np.load(case.GOLDEN / "speech.npz") as golden:
        theirs = torch.from_numpy(golden[name])
    assert len(heard) == max(case.SEEN[name]) + 1
    ours = torch.cat(clips)[case.SEEN[name]]
    assert theirs.std() > 0.1
    assert float((ours - theirs).abs().max()) <= 1e-4


@pytest.mark.parametrize(
    ("samples", "spoken", "frames"),
    [(640 * 16, 16, 16), (640 * 16 + 1, 17, 32), (60 * 16000 + 10, 1501, 1504), (100, 1, 16)],
)
def test_the_last_clip_is_filled(
    listener: Listener, samples: int, spoken: int, frames: int
) -> None:
    """Also where the last minute has fewer samples than wav2vec 2.0 makes a state of, and where it
    alone fills clips that all of the speech does not."""
    heard = listener.heard(np.sin(np.arange(samples) / 9).astype(np.float32), case.CLIP)
    assert (heard.spoken, len(heard)) == (spoken, frames)
    assert sum(len(clip) for clip in heard.split(case.CLIP)) == frames


def test_one_minute_at_a_time_is_heard(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first clip of three minutes asks for no more than the first of them."""
    asked: list[int] = []
    states = listener.states
    monkeypatch.setattr(listener, "states", lambda *given: asked.append(1) or states(*given))
    heard = listener.heard(np.ones(180 * 16000, np.float32), case.CLIP)
    next(heard.split(case.CLIP))
    assert len(asked) == 1 and len(heard) == 4512


def test_weights_of_something_else_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    tensors = load_file(folder / "model.safetensors")
    del tensors["wav2vec2.encoder.layers.3.attention.k_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(RuntimeError, match="k_proj"):
        Listener(tmp_path)
