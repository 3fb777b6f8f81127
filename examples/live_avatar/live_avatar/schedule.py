"""Flow matching in few steps: noise levels, and Euler's step from one to the next."""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT = 3.0
TRAINED_STEPS = 1000


def sigmas(steps: int) -> Tensor:
    """The noise levels from 1 to 0: float32 [steps + 1].

    The shift is applied twice, once to the range of levels and once to the levels spread over it:
    four steps are 1, 0.858, 0.602, 0.009, 0. That is what the four steps were distilled with.
    """
    lowest = _shifted(torch.tensor(1 / TRAINED_STEPS, dtype=torch.float64))
    levels = _shifted(torch.linspace(1, float(lowest), steps, dtype=torch.float64))
    return torch.cat([levels, levels.new_zeros(1)]).float()


def timesteps(steps: int) -> Tensor:
    """What the model is told of the noise level: float32 [steps], 1000 for pure noise."""
    return sigmas(steps)[:-1] * TRAINED_STEPS


def euler(latents: Tensor, velocity: Tensor, level: Tensor, following: Tensor) -> Tensor:
    """Latents at the next noise level; computed in float32, in the velocity's dtype after."""
    moved = latents.float() + (following - level) * velocity.float()
    return moved.to(velocity.dtype)


def _shifted(level: Tensor) -> Tensor:
    return SHIFT * level / (1 + (SHIFT - 1) * level)
