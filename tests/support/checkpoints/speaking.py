"""Wan2.2-S2V: the layout of its own repository, with a transformer in shards, a text encoder and an
autoencoder as pickles, wav2vec2 and a tokenizer in folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from string import ascii_lowercase

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
SMALL_AUTOENCODER = tensors.Autoencoder(dim=4)
TEXT_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
AUTOENCODER_FILE = "Wan2.1_VAE.pth"
TOKENIZER_FOLDER = "google/umt5-xxl"
HEARING_FOLDER = "wav2vec2-large-xlsr-53-english"
CHANGED = (".q", ".k", ".v", ".o", ".ffn.0", ".ffn.2")
RANK = 4
BESIDE = (
    f"{HEARING_FOLDER}/flax_model.msgpack",
    f"{HEARING_FOLDER}/pytorch_model.bin",
    "assets/471504690-b63bfa58-d5d7-4de6-a1a2-98970b06d9a7.mp4",
)
"""By their kind: what the real repository has besides, and nobody should fetch."""
HEARD = ("audio", "head.head")
Value = Callable[[str, torch.Size], torch.Tensor]
NORMED = "parametrizations.weight.original"


def wan_s2v(folder: Path) -> None:
    transformer(folder)
    encoder = tensors.filled(tensors.text_encoder(SMALL_TEXT), torch.bfloat16)
    torch.save(encoder, folder / TEXT_FILE)
    shapes = tensors.autoencoder(SMALL_AUTOENCODER)
    torch.save(
        tensors.filled(shapes, torch.float32, ("decoder.head.2",)), folder / AUTOENCODER_FILE
    )
    tokenizer(folder / TOKENIZER_FOLDER)
    hearing(folder / HEARING_FOLDER)
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


def hearing_config() -> Wav2Vec2Config:
    """wav2vec 2.0 of the kind of the large ones, with as many states, since the transformer's
    weights have one number for each."""
    return Wav2Vec2Config(
        hidden_size=SMALL.audio_dim, intermediate_size=2 * SMALL.audio_dim,
        num_hidden_layers=SMALL.audio_layers - 1, num_attention_heads=4, conv_dim=(16,) * 7,
        vocab_size=33,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, conv_bias=True,
        do_stable_layer_norm=True, feat_extract_norm="layer",
    )  # fmt: skip


def hearing(folder: Path, value: Value | None = None) -> None:
    """With the names of weights from before parametrisations, which the real file has; random
    weights, or those that `value` gives."""
    model = Wav2Vec2ForCTC(hearing_config())
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    old = {as_written_then(name): tensor for name, tensor in load_file(file).items()}
    if value:
        old = {name: value(name, tensor.shape) for name, tensor in old.items()}
    save_file(old, file, {"format": "pt"})
    Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16000, padding_value=0.0, do_normalize=True,
        return_attention_mask=True,
    ).save_pretrained(folder)  # fmt: skip
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", "'", "-", *ascii_lowercase]
    tokens.write(folder / "vocab.json", {letter: n for n, letter in enumerate(letters)})
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    tokens.write(folder / "special_tokens_map.json", special)
    tokens.write(folder / "tokenizer_config.json", {**special, "word_delimiter_token": "|"})


def as_written_then(name: str) -> str:
    """The name that torch gave a normed weight when the real file was written."""
    return name.replace(f"{NORMED}0", "weight_g").replace(f"{NORMED}1", "weight_v")
