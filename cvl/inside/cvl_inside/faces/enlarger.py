"""Draws a picture twice as large: Real-ESRGAN's net, named as RealESRGAN_x2plus names it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 64
BLOCKS = 23
GROWTH = 32
LAYERS = 5  # of a dense block
FACTOR = 2
SLOPE = 0.2
SHARE = 0.2  # of what a block makes, which is added to what it was given


def leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE, inplace=True)


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class DenseBlock(nn.ModuleDict):
    """(B, channels, h, w) -> the same. Each layer sees what all before it made; `growth`: how many
    channels each of them adds."""

    def __init__(self, channels: int, growth: int) -> None:
        outputs = [growth] * (LAYERS - 1) + [channels]
        super().__init__(
            {
                f"conv{index + 1}": convolution(channels + index * growth, number)
                for index, number in enumerate(outputs)
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        *growing, last = self.values()
        seen = x
        for layer in growing:
            seen = torch.cat([seen, leaky(layer(seen))], 1)
        return x + last(seen) * SHARE


class Group(nn.ModuleDict):
    """Three dense blocks and a way round them."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__({f"rdb{index}": DenseBlock(channels, growth) for index in (1, 2, 3)})

    def forward(self, x: Tensor) -> Tensor:
        made = x
        for block in self.values():
            made = block(made)
        return x + made * SHARE


class Enlarger(nn.Module):
    """(B, 3, H, W) in 0..1, both sides even -> (B, 3, 2 H, 2 W), roughly in 0..1. It works on
    pictures of half the size, with four pixels in one."""

    def __init__(
        self, channels: int = CHANNELS, blocks: int = BLOCKS, growth: int = GROWTH
    ) -> None:
        super().__init__()
        self.conv_first = convolution(3 * FACTOR**2, channels)
        self.body = nn.Sequential(*(Group(channels, growth) for _ in range(blocks)))
        self.conv_body = convolution(channels, channels)
        self.conv_up1 = convolution(channels, channels)
        self.conv_up2 = convolution(channels, channels)
        self.conv_hr = convolution(channels, channels)
        self.conv_last = convolution(channels, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.conv_first(functional.pixel_unshuffle(pictures, FACTOR))
        x = x + self.conv_body(self.body(x))
        for layer in (self.conv_up1, self.conv_up2):
            x = leaky(layer(functional.interpolate(x, scale_factor=2)))
        return self.conv_last(leaky(self.conv_hr(x)))
