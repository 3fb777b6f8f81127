"""Keypoints of a face at rest, in space, from its picture."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sadtalker.blocks import DownBlock, UpBlock
from sadtalker.grids import axes

Tensor = torch.Tensor
SHRINK = 4  # the picture is looked at in a quarter of its size
BLUR = 13  # pixels of the filter that it is blurred with before


class Shrunk(nn.Module):
    """Blurs and drops all but every fourth pixel. The filter is in the checkpoint."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(channels, 1, BLUR, BLUR))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.weight, stride=SHRINK, padding=BLUR // 2, groups=x.shape[1]
        )


class Hourglass(nn.Module):
    """(B, 3, h, w) -> (B, C, depth, h, w): down in the plane, up again in space."""

    def __init__(self, base: int, largest: int, channels: int, depth: int, blocks: int) -> None:
        super().__init__()
        sizes = [3, *(min(largest, base * 2**level) for level in range(1, blocks + 1))]
        self.down_blocks, self.up_blocks = nn.Sequential(), nn.Sequential()
        for level in range(blocks):
            block = DownBlock(2, sizes[level], sizes[level + 1])
            self.down_blocks.add_module(f"down{level}", block)
        self.conv = nn.Conv2d(sizes[-1], channels, 1)
        self.depth = depth
        sizes[0] = min(largest, base)
        for level in range(blocks):
            block = UpBlock(3, sizes[blocks - level], sizes[blocks - level - 1])
            self.up_blocks.add_module(f"up{level}", block)
        self.outputs = sizes[0]

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.down_blocks(x))
        return self.up_blocks(x.unflatten(1, (-1, self.depth)))


class KeypointDetector(nn.Module):
    """(B, 3, H, W) red-green-blue in 0..1 -> (B, K, 3) places in -1..1, in order x, y, z."""

    def __init__(
        self, base: int = 32, largest: int = 1024, blocks: int = 5, channels: int = 16384,
        depth: int = 16, keypoints: int = 15, temperature: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.down = Shrunk(3)
        self.predictor = Hourglass(base, largest, channels, depth, blocks)
        self.kp = nn.Conv3d(self.predictor.outputs, keypoints, 3, padding=1)
        self.temperature = temperature

    def forward(self, pictures: Tensor) -> Tensor:
        heat = self.kp(self.predictor(self.down(pictures)))
        heat = functional.softmax(heat.flatten(2) / self.temperature, 2).view(heat.shape)
        x, y, z = axes(heat.shape[2:], heat)
        found = ((heat.sum((2, 3)) * x), (heat.sum((2, 4)) * y), (heat.sum((3, 4)) * z))
        return torch.stack([places.sum(2) for places in found], 2)
