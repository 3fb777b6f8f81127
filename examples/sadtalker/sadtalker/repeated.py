"""A 3x3 convolution of a picture that was enlarged by repeating its pixels, without enlarging it.

Where three taps meet only two different pixels, their weights are added first. So 4 (at twice the
size) or 9 (beyond) kinds of output pixel are each made from 2x2 small ones instead of 3x3 large
ones: the same sums in another order, with 4/9 of the work at twice the size, 1/4 at four times.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Tensor = torch.Tensor
# Along one axis: what an output pixel at the first, at a middle and at the last place of a repeated
# pixel takes of each pair of neighbours. Rows: the pair; columns: the three taps.
FIRST = [[1.0, 0, 0], [0, 1, 1]]
MIDDLE = [[0.0, 0, 0], [1, 1, 1]]
LAST = [[1.0, 1, 0], [0, 0, 1]]


class RepeatedConv(nn.Module):
    """Takes (B, C, [D,] H, W) and gives (B, O, [D,] H*scale, W*scale)."""

    def __init__(self, convolution: nn.Conv2d | nn.Conv3d, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.deep = isinstance(convolution, nn.Conv3d)
        self.outputs = convolution.out_channels
        self.register_buffer("kernels", self._kernels(convolution.weight.detach()))
        assert convolution.bias is not None
        biases = convolution.bias.detach().repeat(self.phases**2)
        self.register_buffer("biases", biases)

    @property
    def phases(self) -> int:
        return min(self.scale, 3)

    def _kernels(self, weight: Tensor) -> Tensor:
        kinds = [FIRST, LAST] if self.phases == 2 else [FIRST, MIDDLE, LAST]
        pairs = weight.new_tensor(kinds)
        made = torch.einsum("oi...hw,pah,qbw->pqoi...ab", weight, pairs, pairs)
        return made.flatten(0, 2).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        convolve = functional.conv3d if self.deep else functional.conv2d
        made = convolve(x, self.kernels, self.biases, padding=1)
        made = made.unflatten(1, (self.phases, self.phases, self.outputs))
        height, width = x.shape[-2:]
        size = (*x.shape[2:-2], height, self.scale, width, self.scale)
        large = x.new_empty(len(x), self.outputs, *size)
        for row in range(self.scale):
            p, top = self._phase(row)
            for column in range(self.scale):
                q, left = self._phase(column)
                part = made[:, p, q, ..., top : top + height, left : left + width]
                large[..., row, :, column] = part
        return large.flatten(-4, -3).flatten(-2, -1)

    def _phase(self, place: int) -> tuple[int, int]:
        """Which kind of pixel is at this place of a repeated one, and where its pair begins."""
        if place == self.scale - 1:
            return self.phases - 1, 1
        return min(place, 1), 0
