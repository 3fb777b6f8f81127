"""Where each point of a frame comes from in the picture, from where the keypoints are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from sadtalker.blocks import Block, DownBlock, UpBlock
from sadtalker.grids import blobs, grid

Tensor = torch.Tensor
VARIANCE = 0.01
FAINT = 1e-3  # what moves a point less than this is not counted


class Flow(NamedTuple):
    """Where to look (B, d, h, w, 3) in -1..1, and how much of it to believe (B, 1, h, w)."""

    places: Tensor
    visible: Tensor


class Encoder(nn.Module):
    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        pairs = zip(sizes, sizes[1:])
        self.down_blocks = nn.ModuleList(DownBlock(3, a, b) for a, b in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = [x]
        for block in self.down_blocks:
            found.append(block(found[-1]))
        return found


class Decoder(Block):
    """Up again, each time beside what the encoder had at that size; then one more block."""

    def __init__(self, sizes: list[int], inputs: int) -> None:
        super().__init__(3, sizes[0] + inputs, sizes[0] + inputs)
        self.up_blocks = nn.ModuleList()
        for level in range(len(sizes) - 1, 0, -1):
            joined = 1 if level == len(sizes) - 1 else 2
            self.up_blocks.append(UpBlock(3, joined * sizes[level], sizes[level - 1]))

    def join(self, found: list[Tensor]) -> Tensor:
        x = found.pop()
        for block in self.up_blocks:
            x = torch.cat([block(x), found.pop()], 1)
        return self(x)


class Hourglass(nn.Module):
    def __init__(self, base: int, inputs: int, blocks: int, largest: int) -> None:
        super().__init__()
        sizes = [min(largest, base * 2**level) for level in range(blocks + 1)]
        self.encoder = Encoder([inputs, *sizes[1:]])
        self.decoder = Decoder(sizes, inputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder.join(self.encoder(x))


class DenseMotion(nn.Module):
    def __init__(
        self, channels: int = 32, base: int = 32, largest: int = 1024, blocks: int = 5,
        depth: int = 16, compress: int = 4, keypoints: int = 15,
    ) -> None:  # fmt: skip
        super().__init__()
        inputs = (keypoints + 1) * (compress + 1)
        outputs = base + inputs
        self.hourglass = Hourglass(base, inputs, blocks, largest)
        self.mask = nn.Conv3d(outputs, keypoints + 1, 7, padding=3)
        self.compress = nn.Conv3d(channels, compress, 1)
        self.norm = nn.BatchNorm3d(compress)
        self.occlusion = nn.Conv2d(outputs * depth, 1, 7, padding=3)

    def summary(self, features: Tensor) -> Tensor:
        """What is needed of the picture's features (1, C, d, h, w); the same for all frames."""
        return torch.relu(self.norm(self.compress(features)))

    def forward(self, summary: Tensor, source: Tensor, driving: Tensor) -> Flow:
        """(1, c, d, h, w), keypoints of the picture (1, K, 3) and of the frames (B, K, 3)."""
        size = summary.shape[2:]
        shifts = functional.pad(source - driving, (0, 0, 1, 0))  # first that of the background
        places = grid(size, summary)
        warped = self._warped(summary, places, shifts)
        heat = blobs(driving, size, VARIANCE) - blobs(source, size, VARIANCE)
        heat = functional.pad(heat, (0, 0) * 3 + (1, 0))[:, :, None]
        x = self.hourglass(torch.cat([heat, warped], 2).flatten(1, 2))
        mask = functional.softmax(self.mask(x), 1)
        mask = torch.where(mask < FAINT, torch.zeros_like(mask), mask)
        moved = torch.einsum("bkdhw,bkc->bdhwc", mask, shifts)
        moved += places * mask.sum(1)[..., None]
        return Flow(moved, torch.sigmoid(self.occlusion(x.flatten(1, 2))))

    def _warped(self, summary: Tensor, places: Tensor, shifts: Tensor) -> Tensor:
        """The summary moved by each keypoint's shift: (B, K+1, c, d, h, w)."""
        frames, kinds = shifts.shape[:2]
        looked = (places + shifts[:, :, None, None, None]).flatten(0, 1)
        repeated = summary.expand(frames * kinds, -1, -1, -1, -1)
        found = functional.grid_sample(repeated, looked, align_corners=False)
        return found.unflatten(0, (frames, kinds))
