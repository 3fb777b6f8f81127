"""From the checkpoint's files to networks that are ready."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from hallo2.generation import Studio
from hallo2.network import Networks
from hallo2.offload import OFFLOADS as OFFLOADS
from hallo2.offload import Places
from hallo2.restorer import FaceRestorer
from hallo2.sizes import RestorerSizes, Sizes

RESTORER = "params_ema"


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
    halved: bool = False,
    vae_tiling: bool = False,
) -> Studio:
    """The networks of a checkpoint, every name and shape of which must agree.

    offload: one of OFFLOADS. halved: frames with guidance and those without it are computed one
    after the other (half of the memory that computing takes; the same but for rounding).
    vae_tiling: pictures are decoded in tiles (less memory above 512x512; changes the frames).
    Raises CheckpointError where names or shapes are others, and ValueError for an unknown offload.
    """
    places = Places(device, offload)
    networks, sizes = load_networks(paths, dtype)
    vae = AutoencoderKL.from_pretrained(paths.vae, torch_dtype=dtype).eval().requires_grad_(False)
    if vae_tiling:
        vae.enable_tiling()
    return Studio(networks, vae, sizes, places, halved)


def load_networks(paths: Paths, dtype: torch.dtype) -> tuple[Networks, Sizes]:
    """On the CPU. The file is mapped, and nothing in it is run."""
    config = json.loads((paths.unet / "config.json").read_text())
    tensors = unpickled(paths.net)
    networks, sizes = empty_networks(config, tensors)
    try:
        networks.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{paths.net} does not fit: {error}") from None
    networks.denoising_unet.leave_out_unused()
    return networks.to(dtype).eval().requires_grad_(False), sizes


def empty_networks(
    config: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> tuple[Networks, Sizes]:
    """Without memory. Raises CheckpointError."""
    try:
        sizes = Sizes.of(config, tensors)
    except KeyError as missing:
        raise CheckpointError(f"the checkpoint is of another model: it has no {missing}") from None
    with torch.device("meta"):
        return Networks(config, sizes), sizes


def load_restorer(path: Path, device: torch.device | str, dtype: torch.dtype) -> FaceRestorer:
    """Of `hallo2/net_g.pth`, which also holds the weights as training left them: the means over
    its last steps (EMA) are used, and only these are read.

    Raises CheckpointError where names or shapes are others: upstream would go on with random
    numbers for what is missing.
    """
    states = unpickled(path)
    tensors = states.get(RESTORER) if isinstance(states, dict) else None
    if not isinstance(tensors, dict):
        raise CheckpointError(f"{path} is of another model: it has no {RESTORER}")
    try:
        with torch.device("meta"):
            restorer = FaceRestorer(RestorerSizes.of(tensors))
        restorer.load_state_dict(tensors, strict=True, assign=True)
    except KeyError as missing:
        raise CheckpointError(f"{path} is of another model: it has no {missing}") from None
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} does not fit: {error}") from None
    return restorer.to(device, dtype).eval().requires_grad_(False)


def unpickled(path: Path) -> Any:
    """On the CPU, mapped; nothing in it is run. Raises CheckpointError."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
