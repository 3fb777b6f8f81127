"""What Wan2.2-S2V has beside its transformer, small: the text encoder and its tokenizer, the video
autoencoder and wav2vec 2.0, in the files and by the names of the real repository.

`value(name, shape)` gives each tensor; `random` does unless said otherwise.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

Value = Callable[[str, torch.Size], Tensor]
Named = Iterator[tuple[str, tuple[int, ...]]]

TEXT_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
VAE_FILE = "Wan2.1_VAE.pth"
SPEECH_FOLDER = "wav2vec2-large-xlsr-53-english"
TOKENIZER_FOLDER = "google/umt5-xxl"
VOCABULARY = 3 + 256 + 96
SPEECH_WIDTH = 32
SPEECH_LAYERS = 24


def random(name: str, shape: torch.Size) -> Tensor:
    """Normal, of variance one over what goes into an output; what only scales is 1."""
    inputs = shape.numel() // shape[0]
    if shape.numel() == max(shape):
        return torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(shape, generator=generator) / inputs**0.5


def write_avatar_parts(folder: Path, text_width: int, value: Value = random) -> None:
    """All of them; `text_width` is what the transformer takes (4096 in the real one)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text_encoder(folder / TEXT_FILE, value, width=text_width)
    write_tokenizer(folder / TOKENIZER_FOLDER)
    write_vae(folder / VAE_FILE, value)
    write_speech(folder / SPEECH_FOLDER, value)


def tensors(named: Named, value: Value, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {name: value(name, torch.Size(shape)).to(dtype) for name, shape in named}


def write_text_encoder(path: Path, value: Value = random, *, width: int = 32) -> None:
    """UMT5's encoder in bfloat16, with 2 layers of 4 heads."""
    torch.save(tensors(text_names(width), value, torch.bfloat16), path)


def text_names(width: int, layers: int = 2, heads: int = 4, buckets: int = 32) -> Named:
    yield "token_embedding.weight", (VOCABULARY, width)
    yield "norm.weight", (width,)
    for block in (f"blocks.{number}" for number in range(layers)):
        for norm in ("norm1", "norm2"):
            yield f"{block}.{norm}.weight", (width,)
        for layer in "qkvo":
            yield f"{block}.attn.{layer}.weight", (width, width)
        for layer in ("gate.0", "fc1"):
            yield f"{block}.ffn.{layer}.weight", (2 * width, width)
        yield f"{block}.ffn.fc2.weight", (width, 2 * width)
        yield f"{block}.pos_embedding.embedding.weight", (buckets, heads)


def write_vae(path: Path, value: Value = random) -> None:
    """The autoencoder with 8 channels where the real one has 96, and one block a level."""
    torch.save(tensors(vae_names(), value), path)


def vae_names(base: int = 8, latent: int = 16, blocks: int = 1) -> Named:
    """Levels of 1, 2, 2 and 2 times `base` channels."""
    widths = [base, base, 2 * base, 2 * base, 2 * base]
    timed = (False, True, True)
    yield from _conv("encoder.conv1", 3, base, 3, 3, 3)
    yield from _conv("decoder.conv1", latent, widths[-1], 3, 3, 3)
    yield from _conv("conv1", latent * 2, latent * 2, 1, 1, 1)
    yield from _conv("conv2", latent, latent, 1, 1, 1)
    place = 0
    for level in range(4):
        for block in range(blocks):
            inputs = widths[level] if block == 0 else widths[level + 1]
            yield from _residual(f"encoder.downsamples.{place + block}", inputs, widths[level + 1])
        place += blocks
        if level < 3:
            yield from _resample(f"encoder.downsamples.{place}", widths[level + 1], timed[level], 1)
            place += 1
    yield from _ends("encoder", widths[-1], widths[-1], latent * 2)
    place, inputs = 0, widths[-1]
    for level in range(4):
        outputs = widths[4 - level]
        for block in range(blocks + 1):
            yield from _residual(f"decoder.upsamples.{place + block}", inputs, outputs)
            inputs = outputs
        place += blocks + 1
        if level < 3:
            yield from _resample(f"decoder.upsamples.{place}", outputs, timed[2 - level], 2)
            place, inputs = place + 1, outputs // 2
    yield from _ends("decoder", widths[-1], base, 3)


def _conv(name: str, inputs: int, outputs: int, *kernel: int) -> Named:
    yield f"{name}.weight", (outputs, inputs, *kernel)
    yield f"{name}.bias", (outputs,)


def _residual(name: str, inputs: int, outputs: int) -> Named:
    yield f"{name}.residual.0.gamma", (inputs, 1, 1, 1)
    yield from _conv(f"{name}.residual.2", inputs, outputs, 3, 3, 3)
    yield f"{name}.residual.3.gamma", (outputs, 1, 1, 1)
    yield from _conv(f"{name}.residual.6", outputs, outputs, 3, 3, 3)
    if inputs != outputs:
        yield from _conv(f"{name}.shortcut", inputs, outputs, 1, 1, 1)


def _resample(name: str, channels: int, timed: bool, growth: int) -> Named:
    yield from _conv(f"{name}.resample.1", channels, channels // growth, 3, 3)
    if timed:
        yield from _conv(f"{name}.time_conv", channels, channels * growth, 3, 1, 1)


def _ends(name: str, middle: int, last: int, outputs: int) -> Named:
    """The blocks in the middle, with their attention, and the layers that end it."""
    for block in (0, 2):
        yield from _residual(f"{name}.middle.{block}", middle, middle)
    yield f"{name}.middle.1.norm.gamma", (middle, 1, 1)
    yield from _conv(f"{name}.middle.1.to_qkv", middle, middle * 3, 1, 1)
    yield from _conv(f"{name}.middle.1.proj", middle, middle, 1, 1)
    yield f"{name}.head.0.gamma", (last, 1, 1, 1)
    yield from _conv(f"{name}.head.2", last, outputs, 3, 3, 3)


def write_tokenizer(folder: Path) -> None:
    """Characters of ASCII, and bytes for all others, as UMT5 has bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    pieces += [("▁", -2.0), *((chr(code), -3.0 - code / 1000) for code in range(32, 127))]
    backend = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    backend.add_special_tokens([AddedToken(name) for name, _ in pieces[:3]])
    backend.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    about = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": []}
    _write(folder / "special_tokens_map.json", special)
    _write(folder / "tokenizer_config.json", {**about, **special})


def speech_config() -> Wav2Vec2Config:
    """The large one of XLSR-53 with 32 channels where it has 1024; as many layers, since the
    transformer's weights have one number for each."""
    return Wav2Vec2Config(
        hidden_size=SPEECH_WIDTH, num_hidden_layers=SPEECH_LAYERS, num_attention_heads=4,
        intermediate_size=64, conv_dim=(16,) * 7, conv_bias=True, feat_extract_norm="layer",
        do_stable_layer_norm=True, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
        vocab_size=33, mask_time_prob=0.05,
    )  # fmt: skip


def write_speech(folder: Path, value: Value = random) -> None:
    """With the names of weights from before parametrisations, which the real file has."""
    folder.mkdir(parents=True, exist_ok=True)
    config = speech_config()
    config.architectures = ["Wav2Vec2ForCTC"]
    config.save_pretrained(folder)
    with torch.device("meta"):
        state = Wav2Vec2ForCTC(config).state_dict()
    named = ((_older(name), tuple(tensor.shape)) for name, tensor in state.items())
    save_file(tensors(named, value), folder / "model.safetensors", {"format": "pt"})
    about = {"do_normalize": True, "feature_size": 1, "padding_side": "right"}
    about |= {"padding_value": 0.0, "return_attention_mask": True, "sampling_rate": 16000}
    about |= {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    _write(folder / "preprocessor_config.json", about)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", "'", "-", *"abcdefghijklmnopqrstuvwxyz"]
    _write(folder / "vocab.json", {letter: number for number, letter in enumerate(letters)})
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    _write(folder / "special_tokens_map.json", special)
    _write(folder / "tokenizer_config.json", {**special, "word_delimiter_token": "|"})


def _older(name: str) -> str:
    """`weight_g` and `weight_v`: the length and the direction of a weight."""
    name = name.replace("parametrizations.weight.original0", "weight_g")
    return name.replace("parametrizations.weight.original1", "weight_v")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
