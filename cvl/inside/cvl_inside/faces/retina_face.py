"""RetinaFace with a ResNet-50, named as facexlib's weights name it: which places of a picture look
like a face."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .resnet import STAGES, ResNet50

STEPS = (8, 16, 32)  # pixels between two places that are looked at, per level
SIZES = ((16, 32), (64, 128), (256, 512))  # pixels of the faces that are looked for


class Found(NamedTuple):
    """Of every place and size: (B, N, 4) boxes relative to it, (B, N) scores, (B, N, 10)."""

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


def normed(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Pyramid(nn.Module):
    """Brings three levels of features together, from the coarsest to the finest."""

    def __init__(self, inputs: list[int], outputs: int) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (normed(n, outputs, 1) for n in inputs)
        self.merge1, self.merge2 = normed(outputs, outputs), normed(outputs, outputs)

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        nets = (self.output1, self.output2, self.output3)
        fine, middle, coarse = (torch.relu(net(x)) for net, x in zip(nets, levels))
        middle = middle + functional.interpolate(coarse, size=middle.shape[2:])
        middle = torch.relu(self.merge2(middle))
        fine = fine + functional.interpolate(middle, size=fine.shape[2:])
        return torch.relu(self.merge1(fine)), middle, coarse


class Context(nn.Module):
    """Three fields of view side by side, made of 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.conv3X3 = normed(channels, half)
        self.conv5X5_1, self.conv5X5_2 = normed(channels, quarter), normed(quarter, quarter)
        self.conv7X7_2, self.conv7x7_3 = normed(quarter, quarter), normed(quarter, quarter)

    def forward(self, x: Tensor) -> Tensor:
        wider = torch.relu(self.conv5X5_1(x))
        widest = self.conv7x7_3(torch.relu(self.conv7X7_2(wider)))
        return torch.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(wider), widest], 1))


class Head(nn.Module):
    """(B, C, h, w) -> (B, h * w * sizes, numbers)."""

    def __init__(self, channels: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.conv1x1 = nn.Conv2d(channels, len(SIZES[0]) * numbers, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.numbers)


class RetinaFace(nn.Module):
    """(B, 3, H, W) less MEAN -> Found."""

    def __init__(
        self, width: int = 64, channels: int = 256, stages: tuple[int, ...] = STAGES
    ) -> None:
        super().__init__()
        self.body = ResNet50(width, stages)
        self.fpn = Pyramid(self.body.channels[1:], channels)
        self.ssh1, self.ssh2, self.ssh3 = (Context(channels) for _ in STEPS)
        self.ClassHead, self.BboxHead, self.LandmarkHead = (
            nn.ModuleList(Head(channels, numbers) for _ in STEPS) for numbers in (2, 4, 10)
        )

    def forward(self, pictures: Tensor) -> Found:
        levels = self.fpn(self.body(pictures)[1:])
        levels = [net(x) for net, x in zip((self.ssh1, self.ssh2, self.ssh3), levels)]
        scores, boxes, landmarks = (
            torch.cat([head(x) for head, x in zip(heads, levels)], 1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        return Found(boxes, functional.softmax(scores, 2)[:, :, 1], landmarks)
