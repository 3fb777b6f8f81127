"""The small restorer of faces and what it is shown, for upstream's numbers and ours."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
sys.path[:0] = [str(HERE.parents[2] / "examples" / "hallo2"), str(HERE.parent)]

from filling import fill, filled  # noqa: E402

BASE, MULTIPLES = 8, (1, 2, 2, 4, 4, 8)
"""Channels of the whole picture, where upstream has 64, and of each level as many times that."""
GROUPS, LATENT, PIXELS, SIDE = 32, 256, 512, 16
"""Which upstream has for any size."""
WIDTH, CODES, LAYERS, HEADS = 64, 40, 3, 8
CONNECTED = ("32", "64", "128", "256")
FRAMES = (1, 5)
FIDELITIES = (0.0, 0.5, 1.0)
SEEN = slice(5, None, 23)
"""Of rows and of columns: at every place within the square of a code."""

CHANGE = 0.3
"""Of what the encoder saw: filled as the rest, a network draws by hundreds, and rounds as much."""


@torch.no_grad()
def prepare(network: nn.Module) -> None:
    """Give it numbers by formula."""
    fill(network)
    for name, parameter in network.named_parameters():
        if name.startswith("fuse_convs_dict.") and ".2." in name:
            parameter.mul_(CHANGE)


def faces(frames: int) -> torch.Tensor:
    """[frames, 3, 512, 512]: something smooth that moves, and a grain that stays."""
    coarse = filled("person", (1, 3, 9, 9), 0.4)
    moving = torch.cat([filled(f"person {n}", (1, 3, 9, 9), 0.2) for n in range(frames)])
    smooth = F.interpolate(coarse + moving, (PIXELS, PIXELS), mode="bilinear")
    return (smooth + filled("grain", (1, 3, PIXELS, PIXELS), 0.1)).clamp(-1, 1)


def latents() -> torch.Tensor:
    """[1, 256, 16, 16]."""
    return filled("latents", (1, LATENT, SIDE, SIDE))


def seen(pictures: torch.Tensor) -> torch.Tensor:
    """Some pixels of [n, 3, 512, 512] as they are."""
    return pictures[:, :, SEEN, SEEN]


def moments(pictures: torch.Tensor) -> torch.Tensor:
    """Of all of them: means of each colour of each picture, and of its squares, [2, n, 3]."""
    return torch.stack([pictures.mean((2, 3)), pictures.square().mean((2, 3))])
