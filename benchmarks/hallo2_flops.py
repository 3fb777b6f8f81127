"""How many operations Hallo2's networks take, counted by torch on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL
from hallo2.network import Networks
from hallo2.reference import remember
from hallo2.sizes import CLIP_FRAMES, MOTION_FRAMES, Sizes
from hallo2.sound import Hearing
from hallo2.unet import Conditions
from torch.utils.flop_counter import FlopCounterMode

UNET: Mapping[str, Any] = {
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 768,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "in_channels": 4,
    "layers_per_block": 2,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}
"""Stable Diffusion 1.5's."""
VAE: Mapping[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 256,
}
"""sd-vae-ft-mse's."""


@dataclass(frozen=True)
class Flops:
    """Floating-point operations: `step` with guidance; `reference`, once a clip; `encode` and
    `decode` of a frame."""

    step: float
    reference: float
    encode: float
    decode: float

    def of_clip(self, steps: int) -> float:
        """All that a clip takes: the frames before it are encoded, its own are decoded."""
        ends = MOTION_FRAMES * self.encode + CLIP_FRAMES * self.decode
        return steps * self.step + self.reference + ends


def counted(side: int, config: Mapping[str, Any] = UNET, sizes: Sizes | None = None) -> Flops:
    """For square pictures of `side` pixels."""
    sizes, rows = sizes or Sizes(), side // 8
    with torch.device("meta"), torch.no_grad():
        networks, vae = Networks(config, sizes), AutoencoderKL(**VAE)
        given = conditions(networks, sizes, rows)
        latents = torch.empty(2 * CLIP_FRAMES, sizes.latents, rows, rows)
        pictures = torch.empty(1 + MOTION_FRAMES, sizes.latents, rows, rows)
        return Flops(
            operations(lambda: networks.denoising_unet(latents, torch.empty(1), given)),
            operations(lambda: remember(networks.reference_unet, pictures, given.identity)),
            operations(lambda: vae.encode(torch.empty(1, 3, side, side))),
            operations(lambda: vae.decode(torch.empty(1, 4, rows, rows))),
        )


def conditions(networks: Networks, sizes: Sizes, rows: int) -> Conditions:
    """Of a clip with guidance, where the networks are; no numbers in particular."""
    identity = torch.empty(2, sizes.identity_tokens, sizes.context)
    pictures = torch.empty(1 + MOTION_FRAMES, sizes.latents, rows, rows)
    return Conditions(
        identity,
        torch.empty(2, CLIP_FRAMES, sizes.sound_tokens, sizes.sound),
        torch.empty(1, sizes.channels[0], rows, rows),
        remember(networks.reference_unet, pictures, identity),
        tuple(
            Hearing((torch.empty((rows >> level) ** 2, 1),) * 3, (1.0,) * 3)
            for level in range(sizes.levels)
        ),
        1,
    )


def operations(action: Callable[[], object]) -> float:
    """Of one call."""
    counter = FlopCounterMode(display=False)
    with counter:
        action()
    return float(counter.get_total_flops())
