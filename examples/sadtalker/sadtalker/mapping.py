"""From the coefficients round a frame to the renderer's motion."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

RADIUS = 13
WINDOW = 2 * RADIUS + 1  # frames that a frame is rendered from
Tensor = torch.Tensor


class Motion(NamedTuple):
    """Angles in degrees (B,); shift (B, 3); how each keypoint moves by expression (B, K, 3)."""

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    shift: Tensor
    expression: Tensor


class MappingNet(nn.Module):
    """(B, coefficients, 27) -> Motion."""

    def __init__(
        self, coefficients: int = 70, width: int = 1024, layers: int = 3, keypoints: int = 15,
        bins: int = 66,
    ) -> None:  # fmt: skip
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(coefficients, width, 7))
        self.layers = layers
        for index in range(layers):
            convolution = nn.Conv1d(width, width, 3, dilation=3)
            self.add_module(f"encoder{index}", nn.Sequential(nn.LeakyReLU(0.1), convolution))
        self.fc_roll = nn.Linear(width, bins)
        self.fc_pitch = nn.Linear(width, bins)
        self.fc_yaw = nn.Linear(width, bins)
        self.fc_t = nn.Linear(width, 3)
        self.fc_exp = nn.Linear(width, 3 * keypoints)

    def forward(self, windows: Tensor) -> Motion:
        x = self.first(windows)
        for index in range(self.layers):
            x = self.get_submodule(f"encoder{index}")(x) + x[:, :, 3:-3]
        x = x.mean(2)
        yaw, pitch, roll = (degrees(net(x)) for net in (self.fc_yaw, self.fc_pitch, self.fc_roll))
        return Motion(yaw, pitch, roll, self.fc_t(x), self.fc_exp(x).view(len(x), -1, 3))


def degrees(bins: Tensor) -> Tensor:
    """The expected angle of a distribution over bins of three degrees: (B, 66) -> (B,)."""
    centres = torch.arange(bins.shape[1], device=bins.device, dtype=bins.dtype)
    return (functional.softmax(bins, 1) * centres).sum(1) * 3 - 99


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """(B,) degrees each -> (B, 3, 3). The net was trained with this value of pi."""
    turn_x, turn_y, turn_z = (angle / 180 * 3.14 for angle in (pitch, yaw, roll))
    zero, one = torch.zeros_like(turn_x), torch.ones_like(turn_x)
    cx, sx, cy, sy = torch.cos(turn_x), torch.sin(turn_x), torch.cos(turn_y), torch.sin(turn_y)
    cz, sz = torch.cos(turn_z), torch.sin(turn_z)
    about_x = [one, zero, zero, zero, cx, -sx, zero, sx, cx]
    about_y = [cy, zero, sy, zero, one, zero, -sy, zero, cy]
    about_z = [cz, -sz, zero, sz, cz, zero, zero, zero, one]
    x, y, z = (torch.stack(m, 1).view(-1, 3, 3) for m in (about_x, about_y, about_z))
    return x @ y @ z


def moved(canonical: Tensor, motion: Motion) -> Tensor:
    """(B or 1, K, 3) keypoints of the face at rest -> (B, K, 3) in the motion's pose.

    Of the shift only the vertical part is used, as the renderer was trained.
    """
    turned = canonical @ rotation(motion.yaw, motion.pitch, motion.roll).transpose(1, 2)
    vertical = motion.shift * motion.shift.new_tensor([0.0, 1.0, 0.0])
    return turned + vertical[:, None] + motion.expression
