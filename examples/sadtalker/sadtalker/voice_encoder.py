"""The encoder of speech that both nets with a voice have (the one of Wav2Lip)."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 512
# outputs, kernel, stride, padding, whether the input is added
LAYERS = (
    (32, 3, 1, 1, False), (32, 3, 1, 1, True), (32, 3, 1, 1, True),
    (64, 3, (3, 1), 1, False), (64, 3, 1, 1, True), (64, 3, 1, 1, True),
    (128, 3, 3, 1, False), (128, 3, 1, 1, True), (128, 3, 1, 1, True),
    (256, 3, (3, 2), 1, False), (256, 3, 1, 1, True),
    (WIDTH, 3, 1, 0, False), (WIDTH, 1, 1, 0, False),
)  # fmt: skip


class Layer(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int], padding: int,
        residual: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv_block(x)
        return torch.relu(y + x if self.residual else y)


def voice_encoder() -> nn.Sequential:
    """(N, 1, 80, 16) windows of a mel spectrogram -> (N, 512, 1, 1)."""
    inputs = (1, *(layer[0] for layer in LAYERS))
    return nn.Sequential(*(Layer(size, *layer) for size, layer in zip(inputs, LAYERS)))


def encode(encoder: nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """(N, 80, 16) -> (N, 512)."""
    return encoder(windows[:, None]).flatten(1)
