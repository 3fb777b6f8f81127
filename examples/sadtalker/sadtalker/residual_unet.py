"""A small U-net over time, that smooths a movement. Only time is halved and doubled."""

from __future__ import annotations

import torch
from torch import nn

Tensor = torch.Tensor
FILTERS = (32, 64, 128, 256)
HALVE = (2, 1)


class ResidualConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int]) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, stride, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.conv_skip = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_block(x) + self.conv_skip(x)


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, channels, HALVE, HALVE)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample(x)


class ResidualUnet(nn.Module):
    """(B, 1, T, 6) -> the same shape, in 0..1; T is a multiple of 8."""

    def __init__(self, filters: tuple[int, ...] = FILTERS) -> None:
        super().__init__()
        a, b, c, d = filters
        self.input_layer = nn.Sequential(
            nn.Conv2d(1, a, 3, padding=1),
            nn.BatchNorm2d(a),
            nn.ReLU(),
            nn.Conv2d(a, a, 3, padding=1),
        )
        self.input_skip = nn.Sequential(nn.Conv2d(1, a, 3, padding=1))
        self.residual_conv_1 = ResidualConv(a, b, HALVE)
        self.residual_conv_2 = ResidualConv(b, c, HALVE)
        self.bridge = ResidualConv(c, d, HALVE)
        self.upsample_1, self.up_residual_conv1 = Upsample(d), ResidualConv(d + c, c, 1)
        self.upsample_2, self.up_residual_conv2 = Upsample(c), ResidualConv(c + b, b, 1)
        self.upsample_3, self.up_residual_conv3 = Upsample(b), ResidualConv(b + a, a, 1)
        self.output_layer = nn.Sequential(nn.Conv2d(a, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        first = self.input_layer(x) + self.input_skip(x)
        second = self.residual_conv_1(first)
        third = self.residual_conv_2(second)
        up = self.upsample_1(self.bridge(third))
        up = self.upsample_2(self.up_residual_conv1(torch.cat([up, third], 1)))
        up = self.upsample_3(self.up_residual_conv2(torch.cat([up, second], 1)))
        return self.output_layer(self.up_residual_conv3(torch.cat([up, first], 1)))
