"""The renderer: a picture and where its keypoints go become frames."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from sadtalker.blocks import Block, DownBlock, ResBlock3d
from sadtalker.dense_motion import DenseMotion
from sadtalker.spade import Decoder

Tensor = torch.Tensor
DOWN = 2  # halvings before the features are made


class Scene(NamedTuple):
    """What is the same for all frames: features (1, C, d, h, w), their summary, keypoints."""

    features: Tensor
    summary: Tensor
    keypoints: Tensor


class Generator(nn.Module):
    def __init__(
        self, motion: DenseMotion, base: int = 64, largest: int = 512, channels: int = 32,
        depth: int = 16, blocks: int = 6, drawn: int = 64, hidden: int = 128,
    ) -> None:  # fmt: skip
        super().__init__()
        self.dense_motion_network = motion
        self.first = Block(2, 3, base)
        sizes = [min(largest, base * 2**level) for level in range(DOWN + 1)]
        self.down_blocks = nn.ModuleList(DownBlock(2, a, b) for a, b in zip(sizes, sizes[1:]))
        self.second = nn.Conv2d(sizes[-1], largest, 1)
        self.channels, self.depth = channels, depth
        self.resblocks_3d = nn.Sequential()
        for index in range(blocks):
            self.resblocks_3d.add_module(f"3dr{index}", ResBlock3d(channels))
        outputs = base * 2**DOWN
        self.third = Block(2, largest, outputs, slope=0.01)
        self.fourth = nn.Conv2d(outputs, outputs, 1)
        self.decoder = Decoder(outputs, drawn, hidden)

    def scene(self, picture: Tensor, keypoints: Tensor) -> Scene:
        """(1, 3, H, W) in 0..1 and its keypoints (1, K, 3), once for a video."""
        x = self.first(picture)
        for block in self.down_blocks:
            x = block(x)
        features = self.resblocks_3d(self.second(x).unflatten(1, (self.channels, self.depth)))
        return Scene(features, self.dense_motion_network.summary(features), keypoints)

    def forward(self, scene: Scene, driving: Tensor) -> Tensor:
        """Keypoints (B, K, 3) of some frames -> (B, 3, H, W) in 0..1."""
        flow = self.dense_motion_network(scene.summary, scene.keypoints, driving)
        features = scene.features.expand(len(driving), -1, -1, -1, -1)
        x = functional.grid_sample(features, flow.places, align_corners=False)
        x = self.fourth(self.third(x.flatten(1, 2))) * flow.visible
        return self.decoder(x)
