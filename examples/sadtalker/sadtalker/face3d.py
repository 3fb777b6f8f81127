"""The coefficients of a 3D face model, as a network reads them off an aligned picture."""

from __future__ import annotations

import torch
from cvl_inside.faces.resnet import STAGES, ResNet50
from torch import nn

PARTS = (80, 64, 80, 3, 27, 2, 1)
"""Identity, expression, texture, head angles, lighting, shift in the plane, depth."""
EXPRESSION = slice(80, 144)
ANGLES = slice(224, 227)
SHIFT = slice(254, 257)


class FaceReconstruction(nn.Module):
    """(B, 3, 224, 224) red-green-blue in 0..1 -> (B, 257) coefficients."""

    def __init__(self, width: int = 64, stages: tuple[int, ...] = STAGES) -> None:
        super().__init__()
        self.backbone = ResNet50(width, stages)
        last = self.backbone.channels[-1]
        self.final_layers = nn.ModuleList(nn.Conv2d(last, size, 1) for size in PARTS)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        pooled = self.backbone(pictures)[-1].mean((2, 3), keepdim=True)
        return torch.cat([layer(pooled) for layer in self.final_layers], 1).flatten(1)


def motion_of(coefficients: torch.Tensor) -> torch.Tensor:
    """What moves: (B, 257) -> (B, 70) = 64 of expression, 3 angles, 3 of shift."""
    return torch.cat([coefficients[:, part] for part in (EXPRESSION, ANGLES, SHIFT)], 1)
