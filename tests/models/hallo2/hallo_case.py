"""The small networks and their inputs that upstream's numbers and ours are compared on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[2] / "examples" / "hallo2"
GOLDEN = HERE / "golden"
sys.path[:0] = [str(EXAMPLE), str(HERE.parent)]

from filling import filled  # noqa: E402

SIDE = 64
"""Of the picture: 8x8 latents, of which one is left at the coarsest level."""
PLACES = tuple((SIDE // 8 >> level) ** 2 for level in range(4))
CLIPS, FRAMES, STEPS, SEED = 2, 16, 3, 42
CFG_SCALE = 3.5
SCALES = (0.5, 1.5, 2.0)
"""How much the sound moves the pose, the face and the lips where one network is compared; in the
whole pipeline too."""
HEARD, SOUND_HIDDEN, SOUND, SOUND_TOKENS = 24, 32, 20, 4

UNET: dict[str, Any] = {
    "act_fn": "silu",
    "attention_head_dim": 2,
    "block_out_channels": [32, 64, 64, 96],
    "center_input_sample": False,
    "cross_attention_dim": 16,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 16,
    "out_channels": 4,
    "sample_size": 8,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}
"""As in the checkpoint's `stable-diffusion-v1-5/unet/config.json`."""
REAL_UNET = {
    **UNET,
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 768,
    "norm_num_groups": 32,
    "sample_size": 64,
}
VAE: dict[str, Any] = {
    "block_out_channels": [8, 8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": SIDE,
}


def portrait() -> torch.Tensor:
    """[3, side, side] in [-1, 1]."""
    return filled("portrait", (3, SIDE, SIDE), 0.5).clamp(-1, 1)


def embedding() -> torch.Tensor:
    """Of the face: [512]."""
    return filled("embedding", (512,))


def located() -> torch.Tensor:
    """Where the face is: [3, side, side], zeros and ones."""
    mask = torch.zeros(3, SIDE, SIDE)
    mask[:, 12:44, 20:52] = 1
    return mask


def masks(region: str) -> tuple[torch.Tensor, ...]:
    """One of each level, [places], in [0, 1]."""
    return tuple(filled(f"{region} {n}", (n,)).abs().clamp(0, 1) for n in PLACES)


def heard(clips: int = CLIPS) -> torch.Tensor:
    """Of each frame, 12 layers' states: [frames, 12, heard]."""
    return filled("heard", (clips * FRAMES, 12, HEARD))


def speech(clips: int = CLIPS) -> torch.Tensor:
    """Of each frame and its neighbours: [frames, 5, 12, heard]."""
    states = heard(clips)
    at = torch.arange(len(states))[:, None] + torch.arange(-2, 3)
    return states[at.clamp(0, len(states) - 1)]


def pictures() -> torch.Tensor:
    """Latents of the portrait and of two frames before: [3, 4, 8, 8]."""
    return filled("pictures", (3, 4, SIDE // 8, SIDE // 8))


def identity() -> torch.Tensor:
    """The face's tokens, without guidance and with it: [2, 4, 16]."""
    return filled("identity", (2, 4, UNET["cross_attention_dim"]))


def sound() -> torch.Tensor:
    """Tokens of each frame, without guidance and with it: [2, 16, 4, 20]."""
    return filled("sound", (2, FRAMES, SOUND_TOKENS, SOUND))


def noise() -> torch.Tensor:
    """Latents: [2, 4, 16, 8, 8]."""
    return filled("noise", (2, 4, FRAMES, SIDE // 8, SIDE // 8))


def added() -> torch.Tensor:
    """What the locator gives: [1, 32, 8, 8]."""
    return filled("added", (1, UNET["block_out_channels"][0], SIDE // 8, SIDE // 8))


def moving() -> torch.Tensor:
    """For one motion module: two frames before and three more, [5, 64, 4, 4]."""
    return filled("moving", (5, 64, 4, 4))
