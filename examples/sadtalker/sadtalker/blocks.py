"""Convolutions of the renderer, and how they are made faster once their weights are loaded."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sadtalker.repeated import RepeatedConv

Tensor = torch.Tensor
CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Block(nn.Module):
    """Convolution, normalization and rectifier; keeps the size."""

    def __init__(self, dims: int, inputs: int, outputs: int, slope: float = 0.0) -> None:
        super().__init__()
        self.conv: nn.Module = CONVOLUTIONS[dims](inputs, outputs, 3, padding=1)
        self.norm: nn.Module = NORMS[dims](outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu_(self.norm(self.conv(x)), self.slope)

    def fold(self) -> None:
        """The normalization becomes a part of the convolution."""
        self.conv = fuse_conv_bn_eval(self.conv, self.norm)
        self.norm = nn.Identity()


class DownBlock(Block):
    """Halves height and width."""

    def forward(self, x: Tensor) -> Tensor:
        made = super().forward(x)
        if made.ndim == 4:
            return functional.avg_pool2d(made, 2)
        return functional.avg_pool3d(made, (1, 2, 2))


class UpBlock(Block):
    """Doubles height and width before it convolves."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if isinstance(self.conv, RepeatedConv) else enlarged(x, 2))

    def fold(self) -> None:
        super().fold()
        self.conv = RepeatedConv(self.conv, 2)


class ResBlock3d(nn.Module):
    """Normalizes and rectifies before each of two convolutions; adds what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(torch.relu(self.norm1(x)))
        return self.conv2(torch.relu(self.norm2(y))) + x


class SpectralConv(nn.Module):
    """A convolution that is kept with the vectors of its largest singular value."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.weight_orig = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.register_buffer("weight_u", torch.ones(outputs))
        self.register_buffer("weight_v", torch.ones(inputs * kernel**2))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight(), self.bias, padding="same")

    def weight(self) -> Tensor:
        sigma = self.weight_u @ (self.weight_orig.flatten(1) @ self.weight_v)
        return self.weight_orig / sigma

    def plain(self) -> nn.Conv2d:
        """The same convolution with its weight divided for good."""
        outputs, inputs, kernel, _ = self.weight_orig.shape
        with torch.device("meta"):
            made = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        made.weight = nn.Parameter(self.weight().detach(), requires_grad=False)
        if self.bias is not None:
            made.bias = nn.Parameter(self.bias.detach(), requires_grad=False)
        return made


def enlarged(x: Tensor, scale: int) -> Tensor:
    """Every pixel repeated `scale` times in height and width."""
    return x.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def fold(module: nn.Module) -> None:
    """Prepares a module with its weights for inference; its state dict has other names then."""
    for part in list(module.modules()):
        if callable(prepare := getattr(part, "fold", None)):
            prepare()
