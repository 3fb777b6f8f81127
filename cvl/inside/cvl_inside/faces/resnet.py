"""ResNet-50 without its classifier, named as torchvision names it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGES = (3, 4, 6, 3)
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a way round them; the 3x3 one has the stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet50(nn.Module):
    """(B, 3, H, W) -> what its four stages give, at a 4th, 8th, 16th and 32nd of the size."""

    def __init__(self, width: int = 64, stages: tuple[int, ...] = STAGES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.channels: list[int] = []
        inputs = width
        for index, blocks in enumerate(stages):
            narrow, stride = width * 2**index, 1 if index == 0 else 2
            layers = [Bottleneck(inputs, narrow, stride)]
            inputs = narrow * EXPANSION
            layers += [Bottleneck(inputs, narrow, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{index + 1}", nn.Sequential(*layers))
            self.channels.append(inputs)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        found = []
        for index in range(len(self.channels)):
            x = self.get_submodule(f"layer{index + 1}")(x)
            found.append(x)
        return found
