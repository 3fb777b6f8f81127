"""What the UNets are told, from what is known: the face's embedding, its place, and the sound."""

from __future__ import annotations

import torch.nn.functional as F
from hallo2.sizes import HEARD_FRAMES, HEARD_LAYERS, Sizes
from torch import Tensor, nn


class IdentityProjection(nn.Module):
    """A face's embedding as a few tokens."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.proj = nn.Linear(sizes.embedding, sizes.identity_tokens * sizes.context)
        self.norm = nn.LayerNorm(sizes.context)

    def forward(self, embedding: Tensor) -> Tensor:
        """[faces, embedding] to [faces, tokens, context]."""
        return self.norm(self.proj(embedding).unflatten(-1, (-1, self.norm.normalized_shape[0])))


class SoundProjection(nn.Module):
    """What a frame hears as tokens."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        hidden = sizes.sound_hidden
        self.proj1 = nn.Linear(HEARD_FRAMES * HEARD_LAYERS * sizes.heard, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, sizes.sound_tokens * sizes.sound)
        self.norm = nn.LayerNorm(sizes.sound)

    def forward(self, heard: Tensor) -> Tensor:
        """[frames, 5, 12, heard] to [frames, tokens, sound]."""
        hidden = F.relu(self.proj2(F.relu(self.proj1(heard.flatten(1)))))
        return self.norm(self.proj3(hidden).unflatten(-1, (-1, self.norm.normalized_shape[0])))


class FaceLocator(nn.Module):
    """Where the face is, as what is added to the first layer of the denoising UNet."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        first, *later = sizes.locator
        self.conv_in = nn.Conv2d(3, first, 3, padding=1)
        self.blocks = nn.ModuleList()
        for before, after in zip(sizes.locator, later):
            self.blocks.append(nn.Conv2d(before, before, 3, padding=1))
            self.blocks.append(nn.Conv2d(before, after, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(sizes.locator[-1], sizes.channels[0], 3, padding=1)

    def forward(self, located: Tensor) -> Tensor:
        """[1, 3, rows, columns] to [1, channels, rows / 8, columns / 8]."""
        x = F.silu(self.conv_in(located))
        for block in self.blocks:
            x = F.silu(block(x))
        return self.conv_out(x)
