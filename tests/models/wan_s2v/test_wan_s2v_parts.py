"""The parts fit the official checkpoint as they fit a small one, and hear what diffsynth hears."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from film import Size, clips, size_for, sizes, speaking, tensors, unused, voice

with unused.stood_in_for():
    from diffsynth.configs import MODEL_CONFIGS
    from diffsynth.core.loader.file import convert_keys_dict_to_single_str
    from diffsynth.core.vram.initialization import skip_model_initialization
    from diffsynth.models.wav2vec import WanS2VAudioEncoder

OFFICIAL = {
    "diffusion_pytorch_model*.safetensors": tensors.speaker(tensors.Speaker()),
    "models_t5_umt5-xxl-enc-bf16.pth": tensors.text_encoder(tensors.TextEncoder()),
    "Wan2.1_VAE.pth": tensors.autoencoder(),
}
PARAMETERS = {
    "diffusion_pytorch_model*.safetensors": 16.30e9,
    "models_t5_umt5-xxl-enc-bf16.pth": 5.68e9,
    "Wan2.1_VAE.pth": 0.127e9,
}


def known_hash(shapes: tensors.Shapes) -> str:
    """What diffsynth recognises an official file by: all of its names and shapes."""
    text = convert_keys_dict_to_single_str({name: list(shape) for name, shape in shapes.items()})
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize("file", OFFICIAL)
def test_names_and_shapes_at_full_size_are_those_of_the_official_file(file: str) -> None:
    shapes = OFFICIAL[file]
    known = {config["model_hash"]: config for config in MODEL_CONFIGS}
    assert known_hash(shapes) in known
    count = sum(math.prod(shape) for shape in shapes.values())
    assert count == pytest.approx(PARAMETERS[file], rel=0.01)


def test_the_names_of_the_voice_are_those_of_the_official_file() -> None:
    with skip_model_initialization():
        state = WanS2VAudioEncoder().model.state_dict()
    old = {speaking.as_written_then(name): tuple(value.shape) for name, value in state.items()}
    known = {c["model_hash"] for c in MODEL_CONFIGS if c["model_name"] == "wans2v_audio_encoder"}
    assert known_hash(old) in known


def test_sizes_read_from_the_official_checkpoint_are_those_that_diffsynth_knows() -> None:
    full = tensors.Speaker()
    shapes = tensors.speaker(full)
    registered = next(c for c in MODEL_CONFIGS if c["model_hash"] == known_hash(shapes))
    found = sizes.transformer_sizes(speaking.config(full), on_meta(shapes))
    assert found.items() >= registered["extra_kwargs"].items()
    assert sizes.text_encoder_sizes(on_meta(tensors.text_encoder(tensors.TextEncoder()))) == {
        "vocab": 256384, "dim": 4096, "dim_attn": 4096, "dim_ffn": 10240, "num_heads": 64,
        "num_layers": 24, "num_buckets": 32,
    }  # fmt: skip
    assert sizes.autoencoder_sizes(on_meta(tensors.autoencoder())) == {
        "dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
    }  # fmt: skip


def on_meta(shapes: tensors.Shapes) -> dict[str, torch.Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t2v"}')
    with pytest.raises(sizes.NotS2V, match="'t2v', not s2v"):
        sizes.read_config(tmp_path / "config.json")


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> voice.Listener:
    folder = tmp_path_factory.mktemp("voice")
    torch.manual_seed(0)
    speaking.hearing(folder)
    return voice.Listener(str(folder), "cpu")


@pytest.mark.parametrize("seconds", [0.3, 2.5, 5.04])
def test_it_hears_what_diffsynth_hears(listener: voice.Listener, seconds: float) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, int(seconds * 16000)).astype(np.float32)
    with skip_model_initialization():
        theirs = WanS2VAudioEncoder()
    theirs.model = listener.model
    with torch.inference_mode():
        parts = theirs.get_audio_feats_per_inference(samples, 16000, listener.processor)
    expected = torch.cat(parts, dim=3)[0]
    heard = listener.frames(samples, expected.shape[2], clips.FPS, before=0)
    assert heard.shape == expected.shape
    assert float((heard - expected).abs().max()) < 1e-4
    assert float(expected.abs().max()) > 0.1


def test_a_long_speech_is_heard_in_parts_that_line_up(
    listener: voice.Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that see all that is around them hear the same as at once."""
    samples = np.random.default_rng(2).normal(0, 0.1, 48000).astype(np.float32)
    whole = listener.frames(samples, 48, clips.FPS, before=3)
    assert torch.equal(whole[..., 0], whole[..., 3])
    monkeypatch.setattr(voice, "ONCE", 60)
    monkeypatch.setattr(voice, "PART", 50)
    parts = listener.frames(samples, 48, clips.FPS, before=3)
    assert float((parts - whole).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("seconds", "most", "from_reference", "frames", "count"),
    [
        (2.5, None, False, 40, 1),
        (77 / 16, None, False, 77, 1),
        (4.82, None, False, 78, 2),
        (60, None, False, 960, 13),
        (60, None, True, 960, 12),
        (60, 2, False, 157, 2),
        (60, 2, True, 160, 2),
        (0.25, 3, False, 4, 1),
    ],
)
def test_a_speech_becomes_so_many_clips(
    seconds: float, most: int | None, from_reference: bool, frames: int, count: int
) -> None:
    found = clips.plan(seconds, 80, most, from_reference)
    assert (found.frames, found.clips) == (frames, count)


def test_the_size_has_the_area_asked_for_and_the_proportions_of_the_picture() -> None:
    assert size_for(1024 * 704, 1024 / 704) == Size(1024, 704)
    assert size_for(1024 * 704, 704 / 1024) == Size(704, 1024)
    assert size_for(832 * 480, 1.0) == Size(576, 576)
    for ratio in (0.1, 0.35, 0.5, 0.8, 1.3, 2.2, 9.0):
        size = size_for(1024 * 704, ratio)
        assert size.width % 64 == size.height % 64 == 0
        assert 0.8 < size.width * size.height / (1024 * 704) <= 1
        assert size.width / size.height == pytest.approx(min(max(ratio, 1 / 3), 3), rel=0.15)
    assert size_for(64 * 64, 2.0) == Size(64, 64)
