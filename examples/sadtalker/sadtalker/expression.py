"""The expression of each frame, from the voice."""

from __future__ import annotations

import torch
from torch import nn

from sadtalker.voice_encoder import WIDTH, encode, voice_encoder

SIZE = 64


class ExpressionNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = voice_encoder()
        self.mapping1 = nn.Linear(WIDTH + SIZE + 1, SIZE)

    def forward(
        self, windows: torch.Tensor, reference: torch.Tensor, blink: torch.Tensor
    ) -> torch.Tensor:
        """(T, 80, 16) of voice, (T, 64) of the face at rest, (T, 1) how far the eyes are shut
        -> (T, 64)."""
        voice = encode(self.audio_encoder, windows)
        return self.mapping1(torch.cat([voice, reference, blink], 1))
