"""The parts around LiveAvatar's transformer at sizes that run anywhere, with weights by formula:
what upstream's modules and ours are both given."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import Wav2Vec2Config

HERE = Path(__file__).resolve()
MODELS, TESTS = HERE.parents[2], HERE.parents[3]
sys.path[:0] = [str(MODELS), str(TESTS.parent / "examples/live_avatar")]
sys.path.append(str(TESTS / "support"))

from checkpoints import speaking, tensors, tokens  # noqa: E402
from filling import filled  # noqa: E402

GOLDEN = HERE.parent / "golden"
TEXT = tensors.TextEncoder(
    vocabulary=tokens.T5_BYTES_VOCABULARY, dim=32, attention=32, ffn_dim=64, heads=4, layers=2
)
AUTOENCODER = tensors.Autoencoder(dim=8, widths=(1, 2, 2, 2), blocks=1)
FRAMES, ROWS, COLUMNS = 73, 64, 64
"""Of the motion that a video starts from: 19 latents."""
LATENTS = 7
SECONDS = (0.1, 1.0, 3.37)
CLIP = 48
PROMPTS = (
    "A person speaks to the camera, calmly.",
    "  &lt;b&gt;two&amp;nbsp;spaces  and\ta tab\n\nand a line ",
    "schÃ¶n, naïve — “quoted” 说话 🙂",
    "",
    "word " * 700,
)
PICTURES = (
    (1024, 1024), (1280, 720), (768, 1024), (300, 300), (64, 64), (704, 384), (384, 704),
    (720, 400), (1920, 1080), (4000, 500), (65, 4096), (511, 977), (16384, 64), (100, 3000),
)  # fmt: skip


def weight(name: str, shape: torch.Size) -> Tensor:
    """As `filling.fill` has it, and near 1 for whatever only scales."""
    if shape.numel() == max(shape):
        return filled(name, shape, 0.1) + (0 if name.endswith("bias") else 1)
    return filled(name, shape, math.prod(shape[1:]) ** -0.5)


def shapes(network: torch.nn.Module) -> list[str]:
    """`name: 1, 2, 3` of each tensor of the state dict."""
    state = network.state_dict().items()
    return sorted(f"{name}: {', '.join(map(str, tensor.shape))}" for name, tensor in state)


def real_speech_config() -> Wav2Vec2Config:
    """Of wav2vec2-large-xlsr-53-english."""
    return Wav2Vec2Config(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
        conv_bias=True, feat_extract_norm="layer", do_stable_layer_norm=True, vocab_size=33,
    )  # fmt: skip


def video() -> Tensor:
    """[1, 3, 73, 64, 64] of -1 to 1: noise over waves that move."""
    time, row, column = torch.meshgrid(
        torch.arange(FRAMES), torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij"
    )
    waves = torch.stack([torch.sin(time / 7 + row / 9 + n + column / 11) for n in range(3)])
    noise = filled("video", waves.shape, 0.2)
    return (0.6 * waves + noise).clamp(-1, 1).unsqueeze(0).float()


def latents() -> Tensor:
    """[1, 16, 7, 8, 8]."""
    return filled("latents", (1, 16, LATENTS, 8, 8))


def sound(seconds: float) -> np.ndarray:
    """Float32 samples of 16 kHz that 16 bits hold: a tone that rises, and noise."""
    count = round(seconds * 16000)
    time = np.arange(count) / 16000
    tone = 0.3 * np.sin(2 * np.pi * (180 + 40 * time) * time)
    noise = filled(f"sound of {seconds}", (count,), 0.05).numpy()
    return (np.round((tone + noise) * 32767) / 32768).astype(np.float32)


def picture(width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3]: slopes with noise on them."""
    column = np.linspace(0, 160, width)[None, :, None]
    row = np.linspace(0, 60, height)[:, None, None]
    noise = (filled("picture", (height, width, 3), 8.0).numpy()).clip(-16, 16)
    return (column + row + noise + np.array([10, 17, 16])).clip(0, 255).astype(np.uint8)


def write(folder: Path) -> Path:
    """The checkpoint of all parts, with these weights."""
    write_text(folder)
    write_autoencoder(folder / speaking.AUTOENCODER_FILE)
    write_speech(folder / speaking.HEARING_FOLDER)
    return folder


def write_text(folder: Path) -> None:
    """The encoder, in bfloat16, and its tokenizer."""
    tokens.write_t5_with_bytes(folder / speaking.TOKENIZER_FOLDER)
    shapes = tensors.text_encoder(TEXT)
    torch.save(by_formula(shapes, torch.bfloat16), folder / speaking.TEXT_FILE)


def write_autoencoder(path: Path) -> None:
    torch.save(by_formula(tensors.autoencoder(AUTOENCODER), torch.float32), path)


def write_speech(folder: Path) -> None:
    speaking.hearing(folder, weight)


def by_formula(shapes: tensors.Shapes, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: weight(name, torch.Size(shape)).to(dtype) for name, shape in shapes.items()}
