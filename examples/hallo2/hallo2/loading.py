"""From the checkpoint's files to networks that are ready."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from hallo2.generation import Studio

OFFLOADS = ("none", "model", "group", "sequential")
"""none: all networks stay on the device; model: each is there while it computes; group: the large
networks' layers come there one by one, the next while one computes; sequential: one by one."""


class CheckpointError(ValueError):
    """The files are not those of this model."""


@dataclass(frozen=True)
class Paths:
    """net: all that was trained (`hallo2/net.pth`: it holds the two UNets whole, so neither
    Stable Diffusion's weights nor the motion module's are read); unet: the folder of the UNet's
    `config.json`; vae: the folder of the autoencoder's `config.json` and weights."""

    net: Path
    unet: Path
    vae: Path

    @classmethod
    def of(cls, folder: Path) -> Paths:
        """In a folder of the layout of fudan-generative-ai/hallo2."""
        return cls(
            folder / "hallo2" / "net.pth",
            folder / "stable-diffusion-v1-5" / "unet",
            folder / "sd-vae-ft-mse",
        )


def load(
    paths: Paths,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    offload: str = "none",
    vae_tiling: bool = False,
) -> Studio:
    """The networks of a checkpoint, every name and shape of which must agree.

    Raises CheckpointError where they do not, and ValueError for an unknown `offload`.
    vae_tiling: pictures are decoded in tiles (less memory above 512x512; changes the frames).
    """
    raise NotImplementedError
