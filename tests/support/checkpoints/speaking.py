"""Wan2.2-S2V: the layout of its own repository, with a transformer in shards, a text encoder and an
autoencoder as pickles, wav2vec2 and a tokenizer in folders."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from . import tensors, tokens

SHARDS = 4
SMALL = tensors.Speaker(
    dim=48, ffn_dim=64, freq_dim=32, text_dim=24, audio_dim=32, layers=2, heads=4, injected=(0, 1)
)
SMALL_TEXT = tensors.TextEncoder(
    vocabulary=tokens.T5_VOCABULARY, dim=24, attention=24, ffn_dim=32, heads=4, layers=2
)
SMALL_WIDTH = 4
CHANGED = (".q", ".k", ".v", ".o", ".ffn.0", ".ffn.2")
RANK = 4
BESIDE = (
    "wav2vec2-large-xlsr-53-english/flax_model.msgpack",
    "wav2vec2-large-xlsr-53-english/pytorch_model.bin",
    "assets/471504690-b63bfa58-d5d7-4de6-a1a2-98970b06d9a7.mp4",
)
"""By their kind: what the real repository has besides, and nobody should fetch."""
HEARD = ("audio", "head.head")
NORMED = "parametrizations.weight.original"


def wan_s2v(folder: Path) -> None:
    transformer(folder)
    encoder = tensors.filled(tensors.text_encoder(SMALL_TEXT), torch.bfloat16)
    torch.save(encoder, folder / "models_t5_umt5-xxl-enc-bf16.pth")
    autoencoder = tensors.filled(
        tensors.autoencoder(SMALL_WIDTH), torch.float32, ("decoder.head.2",)
    )
    torch.save(autoencoder, folder / "Wan2.1_VAE.pth")
    tokenizer(folder / "google" / "umt5-xxl")
    hearing(folder / "wav2vec2-large-xlsr-53-english")
    for name in BESIDE:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(4000))


def live_avatar(folder: Path) -> None:
    """What LiveAvatar adds to the transformer: factors for its linear layers, named by peft."""
    factors: tensors.Shapes = {}
    for name, shape in tensors.speaker(SMALL).items():
        layer = name.removesuffix(".weight")
        if layer != name and len(shape) == 2 and layer.endswith(CHANGED):
            factors[f"{layer}.lora_A.default.weight"] = (RANK, shape[1])
            factors[f"{layer}.lora_B.default.weight"] = (shape[0], RANK)
    save_file(tensors.filled(factors, torch.bfloat16), folder / "liveavatar.safetensors")


def transformer(folder: Path) -> None:
    values = tensors.filled(tensors.speaker(SMALL), torch.bfloat16, HEARD)
    names = list(values)
    total = sum(value.numel() * value.element_size() for value in values.values())
    placed: dict[str, str] = {}
    for shard in range(SHARDS):
        file = f"diffusion_pytorch_model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        part = {name: values[name] for name in names[shard::SHARDS]}
        save_file(part, folder / file, {"format": "pt"})
        placed |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(placed.items()))}
    tokens.write(folder / "diffusion_pytorch_model.safetensors.index.json", index)
    tokens.write(folder / "config.json", config(SMALL))


def config(sizes: tensors.Speaker) -> dict[str, object]:
    """config.json as upstream's class writes it: without text_dim and patch_size."""
    known = asdict(sizes)
    same = ("dim", "ffn_dim", "freq_dim", "audio_dim")
    return {
        "_class_name": "WanModel_S2V", "_diffusers_version": "0.34.0",
        "adain_mode": "attn_norm", "add_last_motion": True,
        "audio_inject_layers": list(sizes.injected), "cond_dim": sizes.latents,
        "enable_adain": True, "enable_framepack": True, "enable_motioner": False,
        "enable_tsm": False, "eps": 1e-06, "framepack_drop_mode": "padd",
        "in_dim": sizes.latents, "model_type": "s2v", "motion_token_num": 1024,
        "num_audio_token": sizes.audio_tokens, "num_heads": sizes.heads,
        "num_layers": sizes.layers, "out_dim": sizes.latents, "text_len": 512,
        "trainable_token_pos_emb": False, "zero_init": True, "zero_timestep": True,
        **{name: known[name] for name in same},
    }  # fmt: skip


def tokenizer(folder: Path) -> None:
    folder.mkdir(parents=True)
    tokens.t5().save_pretrained(folder)
    (folder / "spiece.model").write_bytes(tokens.sentencepiece_model())


def hearing(folder: Path) -> None:
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            hidden_size=SMALL.audio_dim, num_hidden_layers=SMALL.audio_layers - 1,
            num_attention_heads=4, intermediate_size=32, conv_dim=(16,) * 7, vocab_size=33,
            num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, conv_bias=True,
            do_stable_layer_norm=True, feat_extract_norm="layer",
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    old = {as_written_then(name): value for name, value in load_file(file).items()}
    save_file(old, file, {"format": "pt"})
    Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16000, padding_value=0.0, do_normalize=True,
        return_attention_mask=True,
    ).save_pretrained(folder)  # fmt: skip


def as_written_then(name: str) -> str:
    """The name that torch gave a normed weight when the real file was written."""
    return name.replace(f"{NORMED}0", "weight_g").replace(f"{NORMED}1", "weight_v")
