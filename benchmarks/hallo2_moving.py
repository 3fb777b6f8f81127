"""A film that small networks of Hallo2 learn, and make: a head that goes round, whose mouth is as
open as the sound is loud. How far round it is the sound does not say: only the frames before do.

Weights are kept in 8 bits each, with a scale for each row of a matrix: 2 MB instead of 8.
`hallo2_seams.py` trains them; the tests make the same films of them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import AutoencoderKL
from hallo2 import generation
from hallo2.clip import with_dropped
from hallo2.generation import Regions, Studio
from hallo2.network import Networks
from hallo2.offload import Places
from hallo2.sizes import CLIP_FRAMES, HEARD_LAYERS, Sizes
from torch import Tensor

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / "tests" / "models" / "hallo2" / "golden" / "moving.npz"
SIDE, PERIOD, SYLLABLE = 64, 24, 13
"""Pixels of a side; frames in which the head goes round, and in which the mouth opens and closes:
none of these fits into clips of 16."""
STEP = 2 * math.pi / PERIOD
UNET: dict[str, Any] = {
    "act_fn": "silu", "attention_head_dim": 2, "block_out_channels": [32] * 4,
    "cross_attention_dim": 16, "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4,
    "layers_per_block": 1, "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 8,
    "out_channels": 4, "sample_size": 8,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}  # fmt: skip
VAE: dict[str, Any] = {
    "block_out_channels": [8] * 4, "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4, "layers_per_block": 1, "latent_channels": 4,
    "norm_num_groups": 4, "sample_size": SIDE,
}  # fmt: skip
SIZES = Sizes(
    channels=(32,) * 4, layers=1, heads=2, groups=8, context=16, motion_heads=4, heard=2,
    sound_hidden=16, sound=16, sound_tokens=2, embedding=8, locator=(4, 8, 8, 8),
)  # fmt: skip


def picture(phase: Tensor, mouth: Tensor) -> Tensor:
    """Where the head is, in radians, and how open its mouth, 0 to 1: [n] each; [n, 3, side, side]
    in [-1, 1]."""
    rows, columns = torch.meshgrid(
        torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij"
    )
    across = columns - 32 - 9 * torch.cos(phase)[:, None, None]
    down = rows - 32 - 9 * torch.sin(phase)[:, None, None]
    head = torch.exp(-(across**2 + down**2) / (2 * 11**2))[:, None]
    lips = torch.exp(-(across**2 / (2 * 6**2) + (down - 6) ** 2 / (2 * 4**2)))[:, None]
    room = torch.stack([columns * 0.6 - 45, rows * 0.6 - 51, -columns * 0.5 - 13]) / SIDE
    skin, red = (torch.tensor(c)[:, None, None] for c in ((1.5, 1.2, 0.9), (-0.6, -0.9, -0.7)))
    return (room + skin * head + red * lips * mouth[:, None, None, None]).clamp(-1, 1)


def speech(loud: Tensor) -> Tensor:
    """As loud as that [..., frames], as what each frame hears [..., frames, 5, 12, 2]."""
    frames = loud.shape[-1]
    around = loud[..., (torch.arange(frames)[:, None] + torch.arange(-2, 3)).clamp(0, frames - 1)]
    states = torch.stack([2 * around - 1, 1 - 2 * around], -1)[..., None, :]
    return states.expand(*around.shape, HEARD_LAYERS, 2)


def regions() -> Regions:
    """The face is all but a margin; the sound moves every place alike."""
    located = torch.zeros(3, SIDE, SIDE)
    located[:, 8:-8, 8:-8] = 1
    masks = tuple(torch.ones((SIDE >> 3 + level) ** 2) for level in range(SIZES.levels))
    return Regions(located, masks, masks, masks)


def untrained() -> Networks:
    """With the order of frames as the official checkpoint has it, in sines and cosines."""
    torch.manual_seed(1)
    networks = Networks(UNET, SIZES)
    for name, places in networks.named_buffers():
        if name.endswith(".pe"):
            _, most, width = places.shape
            angles = torch.arange(most)[:, None] * torch.exp(
                torch.arange(0, width, 2) * (-math.log(10_000) / width)
            )
            places[0, :, 0::2], places[0, :, 1::2] = angles.sin(), angles.cos()
    return networks


def keep(vae: AutoencoderKL, networks: Networks, file: Path) -> None:
    """Write what was trained: rows of all matrices one after the other, their scales, the rest."""
    weights, scales, rest = [], [], []
    for tensor in _trained(vae, networks):
        if tensor.ndim > 1:
            rows = tensor.flatten(1)
            scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            weights.append((rows / scale).round().char().flatten())
            scales.append(scale.flatten())
        else:
            rest.append(tensor)
    arrays = {"weights": weights, "scales": scales, "rest": rest}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:  # by its own name: numpy adds an ending to one that has none
        np.savez_compressed(stream, **{name: torch.cat(of).numpy() for name, of in arrays.items()})


def studio(file: Path = KEPT) -> Studio:
    """Of what was kept."""
    vae, networks = AutoencoderKL(**VAE), untrained()
    with np.load(file) as kept:
        weights, scales, rest = (Taking(kept[name]) for name in ("weights", "scales", "rest"))
    for tensor in _trained(vae, networks):
        if tensor.ndim > 1:
            rows = weights.next(tensor.numel()).reshape(len(tensor), -1)
            tensor.copy_((rows * scales.next(len(tensor))[:, None]).reshape(tensor.shape))
        else:
            tensor.copy_(rest.next(tensor.numel()).reshape(tensor.shape))
    for network in (vae, networks):
        network.eval().requires_grad_(False)
    return Studio(networks, vae, SIZES, Places("cpu"))


class Taking:
    """Numbers, some after the other."""

    def __init__(self, numbers: np.ndarray) -> None:
        self._left = torch.from_numpy(numbers)

    def next(self, count: int) -> Tensor:
        """So many of them."""
        taken, self._left = self._left.split([count, len(self._left) - count])
        return taken


def _trained(vae: AutoencoderKL, networks: Networks) -> Iterator[Tensor]:
    """By their names, whatever order they were made in."""
    for network in (vae, networks):
        for _, weight in sorted(network.named_parameters()):
            yield weight.data


def loudness(clips: int) -> Tensor:
    """Of every frame, 0 to 1."""
    return 0.5 + 0.5 * torch.cos(torch.arange(clips * CLIP_FRAMES) * (2 * math.pi / SYLLABLE))


def film(studio: Studio, clips: int, *, carried: bool = True, seed: int = 1) -> Tensor:
    """By the example's own code: frames [clips * 16, side, side, 3], 0 to 255."""
    portrait = picture(torch.tensor([0.3]), torch.zeros(1))[0]
    stopped = contextlib.nullcontext() if carried else mock.patch.object(
        generation, "with_dropped",
        lambda before, *given: with_dropped(portrait.expand_as(before), *given),
    )  # fmt: skip
    with stopped:
        made = studio.frames(
            portrait, torch.zeros(SIZES.embedding), regions(), speech(loudness(clips)), steps=8,
            cfg_scale=1, seed=seed,
        )  # fmt: skip
        return torch.cat(list(made)).float()


def changes(frames: Tensor) -> tuple[Tensor, Tensor]:
    """From frame to frame, mean of 255: where clips join, and within them."""
    steps = (frames[1:] - frames[:-1]).abs().mean((1, 2, 3))
    joins = torch.arange(1, len(frames)) % CLIP_FRAMES == 0
    return steps[joins], steps[~joins]
