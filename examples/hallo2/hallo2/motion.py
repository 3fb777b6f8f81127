"""Between frames: each place sees itself in all frames of the clip and in those before it."""

from __future__ import annotations

import torch
from hallo2.attention import Attention, Feed
from hallo2.sizes import Sizes
from torch import Tensor, nn

GROUPS = 32
"""Whatever the groups of the UNet's other norms are."""


class Positions(nn.Module):
    """What tells frames apart: sines and cosines, which the checkpoint holds."""

    pe: Tensor

    def __init__(self, dim: int, most: int) -> None:
        super().__init__()
        self.register_buffer("pe", torch.zeros(1, most, dim))

    def forward(self, x: Tensor) -> Tensor:
        """[rows, frames, dim]."""
        return x + self.pe[:, : x.shape[1]]


class TimedAttention(Attention):
    """Attention between frames [rows, frames, dim], which knows their order."""

    def __init__(self, dim: int, heads: int, most: int) -> None:
        super().__init__(dim, heads, dim // heads)
        self.pos_encoder = Positions(dim, most)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Of the same shape."""
        return super().forward(self.pos_encoder(x), context)


class MotionBlock(nn.Module):
    """Attention between frames, twice: [rows, frames, dim]."""

    def __init__(self, dim: int, sizes: Sizes) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(
            TimedAttention(dim, sizes.motion_heads, sizes.positions) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.ff, self.ff_norm = Feed(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        for attention, norm in zip(self.attention_blocks, self.norms):
            x = x + attention(norm(x))
        return x + self.ff(self.ff_norm(x))


class MotionTransformer(nn.Module):
    """See `Motion`."""

    def __init__(self, channels: int, sizes: Sizes) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([MotionBlock(channels, sizes)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """[halves, frames, channels, h, w], after frames [halves, m, h * w, channels]."""
        halves, frames, _, h, w = x.shape
        earlier = before.transpose(2, 3).unflatten(-1, (h, w))
        seen = self.norm(torch.cat([earlier, x], 1).flatten(0, 1)).unflatten(0, (halves, -1))
        tokens = self.proj_in(seen.flatten(3).permute(0, 3, 1, 2).flatten(0, 1))
        moved = self.proj_out(self.transformer_blocks[0](tokens)[:, -frames:])
        return x + moved.unflatten(0, (halves, h, w)).permute(0, 3, 4, 1, 2)


class Motion(nn.Module):
    """Gives frames their motion; a level of names that the checkpoint has."""

    def __init__(self, channels: int, sizes: Sizes) -> None:
        super().__init__()
        self.temporal_transformer = MotionTransformer(channels, sizes)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: [halves * frames, channels, h, w]; before: what the reference network saw of the
        frames before, [halves, m, h * w, channels]. Of the shape of x."""
        halves = before.shape[0]
        return self.temporal_transformer(x.unflatten(0, (halves, -1)), before).flatten(0, 1)
