"""The small model and its inputs that upstream's numbers and ours are compared on."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[2] / "examples" / "live_avatar"
GOLDEN = HERE / "golden"
sys.path[:0] = [str(EXAMPLE), str(HERE.parent)]

from filling import filled  # noqa: E402

HEIGHT, WIDTH = 8, 16
"""Latents: a picture of 64x128. Not square, so that sides are not taken for each other."""
TOKENS = (HEIGHT // 2) * (WIDTH // 2)
CLIPS, CLIP_BLOCKS, STEPS = 2, 4, 4
BLOCKS = CLIPS * CLIP_BLOCKS
DISTANCES = (4, 30, 17, 9, 25, 6, 12, 21)
"""One for each block."""
NEAR_ONE = ("casual_audio_encoder.weights",)
"""Weights that are divided by their sum."""
LORA_RANK, LORA_ALPHA = 4, 2.0

CONFIG = {
    "cond_dim": 16,
    "audio_dim": 20,
    "num_audio_token": 4,
    "enable_adain": True,
    "adain_mode": "attn_norm",
    "audio_inject_layers": [0, 2],
    "zero_init": True,
    "zero_timestep": True,
    "enable_motioner": False,
    "add_last_motion": True,
    "enable_tsm": False,
    "enable_framepack": True,
    "framepack_drop_mode": "padd",
    "dim": 48,
    "ffn_dim": 64,
    "freq_dim": 32,
    "text_dim": 24,
    "text_len": 16,
    "num_heads": 4,
    "num_layers": 3,
}
"""As in a checkpoint's config.json; the arguments of upstream's class."""


def text() -> torch.Tensor:
    """A prompt's embedding: [5, 24]."""
    return filled("text", (5, CONFIG["text_dim"]))


def audio(blocks: int = BLOCKS) -> torch.Tensor:
    """Features of a sound: [25, frames, 20]."""
    return filled("audio", (25, 12 * blocks, CONFIG["audio_dim"]))


def reference() -> torch.Tensor:
    """Latents of the picture: [16, 1, height, width]."""
    return filled("reference", (16, 1, HEIGHT, WIDTH))


def motion() -> torch.Tensor:
    """Latents of the frames before the first: [16, 19, height, width]."""
    return filled("motion", (16, 19, HEIGHT, WIDTH))


def noise(clip: int) -> torch.Tensor:
    """What a clip starts from: [16, 12, height, width]."""
    return filled(f"noise {clip}", (16, 12, HEIGHT, WIDTH))


def pose(clip: int) -> torch.Tensor:
    """Latents of a pose video: [16, 12, height, width]."""
    return filled(f"pose {clip}", (16, 12, HEIGHT, WIDTH))


def lora_factors(layers: dict[str, tuple[int, int]]) -> dict[str, torch.Tensor]:
    """Factors of a change to linear layers, given as name: (out, in), under upstream's keys."""
    factors = {}
    for name, (out, into) in layers.items():
        for factor, shape in (("A", (LORA_RANK, into)), ("B", (out, LORA_RANK))):
            key = f"{name}.lora_{factor}.default.weight"
            factors[key] = filled(key, shape, into**-0.5)
    return factors
