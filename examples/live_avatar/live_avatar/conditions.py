"""What the video must stay true to: the reference picture and the frames before its start."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from live_avatar.rope import Rotary, Rotation, joined
from live_avatar.sizes import Grid

REFERENCE_FRAME = 30
"""Where the reference stands in time at the start: ahead of all that is made."""
NEAREST, FARTHEST = 4, 30
"""How many latent frames ahead of a block the reference may stand, both included."""

BUCKETS = (1, 2, 16)
"""Motion frames from the newest back; older ones are packed into larger patches."""
MOTION_LATENTS = sum(BUCKETS)


class FramePacker(nn.Module):
    """19 latent frames before the start, packed into 1.5 times the tokens of one frame."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.proj, self.proj_2x, self.proj_4x = (
            nn.Conv3d(channels, dim, kernel_size=patch, stride=patch)
            for patch in ((1, 2, 2), (2, 4, 4), (4, 8, 8))
        )

    def forward(self, motion: Tensor) -> Tensor:
        """[channels, frames, height, width] to [1, tokens, dim], the newest frame first.

        Of more than 19 frames the last 19 count; of fewer, zeros stand before them.
        """
        motion = motion[:, -MOTION_LATENTS:]
        motion = F.pad(motion, (0, 0, 0, 0, MOTION_LATENTS - motion.shape[1], 0)).unsqueeze(0)
        far, near, newest = motion.split(BUCKETS[::-1], dim=2)
        packed = (self.proj(newest), self.proj_2x(near), self.proj_4x(far))
        return torch.cat([tokens_of(p) for p in packed], 1)


def tokens_of(features: Tensor) -> Tensor:
    """[1, dim, frames, rows, columns] to [1, tokens, dim]."""
    return features.flatten(2).transpose(1, 2)


def motion_tokens(grid: Grid) -> int:
    """How many tokens the packed motion frames are."""
    return grid.frame_tokens + grid.frame_tokens // 4 + 4 * (grid.frame_tokens // 16)


def starting_rotation(rotary: Rotary) -> Rotation:
    """Positions of reference and motion tokens when the video starts.

    Motion frames stand before frame 0 and stay there; 16 packed by fours stand 5 apart.
    """
    return joined(
        rotary.frames([REFERENCE_FRAME]),
        rotary.frames([-1]),
        rotary.packed([-3], 2),
        rotary.packed([-19, -14, -9, -4], 4),
    )


def reference_frame(first_latent: int, distance: int) -> int:
    """Where the reference stands for a block that starts at `first_latent`.

    It stands still until the video comes within `distance` of it and then moves along, so that
    it is never farther off than it was in training ("rolling RoPE").
    """
    return max(REFERENCE_FRAME, first_latent + distance)


class Distances:
    """A distance for each block, drawn evenly from 4 to 30 by a generator of the seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Distances:
        return self

    def __next__(self) -> int:
        drawn = torch.randint(NEAREST, FARTHEST + 1, (1,), generator=self._generator)
        return int(drawn)
