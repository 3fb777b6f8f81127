"""What a clip begins with: noise, and the frames before it, some of whose pixels are dropped."""

from __future__ import annotations

import torch
from torch import Tensor

DROPPED = 0.25
"""Share of the pixels outside the face that the frames before are shown without: so what goes
wrong in a clip is not carried on into all that follow."""


class Chance:
    """All that is drawn for a video, in upstream's order: a clip's pixels, then its noise.

    Drawn on the CPU, so that a seed gives the same on every device.
    """

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        self._generator, self._dtype = torch.Generator().manual_seed(seed), dtype

    def kept(self, rows: int, columns: int) -> Tensor:
        """Which pixels stay: bool [rows, columns]."""
        return torch.rand(rows, columns, generator=self._generator) > DROPPED

    def noise(self, channels: int, frames: int, rows: int, columns: int) -> Tensor:
        """Latents to begin with: [frames, channels, rows, columns]."""
        shape = (channels, frames, rows, columns)
        return torch.randn(shape, generator=self._generator, dtype=self._dtype).transpose(0, 1)


def with_dropped(frames: Tensor, kept: Tensor, located: Tensor) -> Tensor:
    """Frames [m, 3, rows, columns], grey (0) where pixels are neither kept nor in the face."""
    return frames * (kept | located.bool())


def shown(frames: Tensor) -> Tensor:
    """Decoded frames [n, 3, rows, columns] in [0, 1] as uint8 [n, rows, columns, 3]."""
    return (frames * 255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
