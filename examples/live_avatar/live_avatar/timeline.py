"""How blocks, latent frames and video frames lie in time.

A block is 3 latent frames and 12 frames of audio and video at 25 fps. The first 3 video frames are
never shown: the decoder makes them from the first latent frame before it has seen motion.
So the first clip of 4 blocks has 45 frames and every later one 48.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

FPS = 25
BLOCK_LATENTS = 3
"""Latent frames that are denoised together."""
BLOCK_FRAMES = 12
"""Video frames of a block, and frames of audio features that it hears."""
CLIP_BLOCKS = 4
"""Blocks that attention looks back on (this one among them), and that share one seed."""
DROPPED_FRAMES = 3
"""Frames that the first block's decode gives first and that are not shown."""


def frames_of(block: int) -> range:
    """The numbers of the video's frames that a block gives: 9 of the first, then 12 each."""
    start = block * BLOCK_FRAMES - DROPPED_FRAMES
    return range(max(0, start), start + BLOCK_FRAMES)


def blocks_for(frames: int) -> int:
    """How many blocks it takes to hear so many frames of audio."""
    return -(-frames // BLOCK_FRAMES)


def audio_blocks(features: Tensor) -> Iterator[Tensor]:
    """Audio features [states, frames, channels], block by block: [states, 12, channels].

    What lacks at the end is zeros, as it is in training: silence after the words.
    """
    for start in range(0, features.shape[1], BLOCK_FRAMES):
        block = features[:, start : start + BLOCK_FRAMES]
        yield F.pad(block, (0, 0, 0, BLOCK_FRAMES - block.shape[1]))


class ClipNoise:
    """The noise of every block, from one seed: `noise(block)` is [channels, 3, height, width].

    A clip's noise is drawn at once from a generator of `seed + clip`. It is drawn on the CPU, so
    that a seed means the same on every device.
    """

    def __init__(self, seed: int, shape: tuple[int, int, int, int]) -> None:
        """`shape` [channels, latent frames of a clip, height, width]."""
        self._seed, self._shape = seed, shape
        self._clip = -1
        self._noise = torch.empty(0)

    def __call__(self, block: int) -> Tensor:
        """The noise that a block starts from, float32 on the CPU."""
        clip, place = divmod(block, self._shape[1] // BLOCK_LATENTS)
        if clip != self._clip:
            generator = torch.Generator().manual_seed(self._seed + clip)
            self._noise = torch.randn(self._shape, generator=generator)
            self._clip = clip
        return self._noise[:, place * BLOCK_LATENTS : (place + 1) * BLOCK_LATENTS]
