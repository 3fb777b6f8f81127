"""Rotary positions in three axes (frame, row, column), with real numbers in float32.

Each pair of channels of a head turns by an angle that grows with the token's position; attention
then depends on differences of positions alone. A head's pairs are divided among the axes: two
sixths for rows, two sixths for columns, the rest for time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from live_avatar.sizes import Grid

BASE = 10000.0


class Rotation(NamedTuple):
    """Cosines and sines of the angles, each float32 [tokens, head_dim / 2]."""

    cos: Tensor
    sin: Tensor


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn x [..., tokens, heads, head_dim]; channels 2i and 2i + 1 are a pair.

    Only multiplications and additions, so that a compiler makes one kernel of it. Upstream's
    complex numbers in float64 are neither fused nor quick.
    """
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = rotation.cos.unsqueeze(-2), rotation.sin.unsqueeze(-2)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1)
    return turned.flatten(-2).to(x.dtype)


class Rotary:
    """Makes rotations for the tokens of a grid.

    Rows and columns never change and are computed once. Time is computed from the frame's number,
    so there is no table that a long video could run out of.
    """

    def __init__(self, head_dim: int, grid: Grid, device: torch.device | str) -> None:
        pairs = head_dim // 2
        spatial = pairs // 3
        self._axes = tuple(_frequencies(n) for n in (pairs - 2 * spatial, spatial, spatial))
        self._grid = grid
        self._device = device
        self._rows, self._columns = range(grid.rows), range(grid.columns)

    def frames(self, positions: Sequence[int]) -> Rotation:
        """Whole latent frames at these positions in time: frames * frame_tokens tokens."""
        return self.lattice(positions, self._rows, self._columns)

    def packed(self, positions: Sequence[int], patch: int) -> Rotation:
        """Frames of tokens that are `patch` times as coarse as the grid's.

        They are spread evenly from its first row to its last, rounded down, as in training.
        """
        rows = _spread(self._grid.rows, self._grid.rows // patch)
        columns = _spread(self._grid.columns, self._grid.columns // patch)
        return self.lattice(positions, rows, columns)

    def lattice(
        self, frames: Sequence[int], rows: Sequence[int], columns: Sequence[int]
    ) -> Rotation:
        """One token per frame, row and column, columns running fastest."""
        shape = (len(frames), len(rows), len(columns), -1)
        time, down, across = (
            torch.outer(torch.tensor(list(positions), dtype=torch.float64), frequencies)
            for positions, frequencies in zip((frames, rows, columns), self._axes)
        )
        angles = torch.cat(
            (
                time[:, None, None].expand(shape),
                down[None, :, None].expand(shape),
                across[None, None, :].expand(shape),
            ),
            -1,
        ).flatten(0, 2)
        return Rotation(*(_rounded(part).to(self._device) for part in (angles.cos(), angles.sin())))


def joined(*rotations: Rotation) -> Rotation:
    """The rotation of token after token."""
    return Rotation(*(torch.cat(parts) for parts in zip(*rotations)))


def _frequencies(pairs: int) -> Tensor:
    return BASE ** -(torch.arange(pairs, dtype=torch.float64) / pairs)


def _rounded(values: Tensor) -> Tensor:
    """To float16's eleven bits: the tables that LiveAvatar was trained with were kept in those."""
    return values.half().float()


def _spread(size: int, count: int) -> list[int]:
    """`count` positions from 0 to size - 1, rounded down."""
    return [int(i) for i in torch.linspace(0, size - 1, count, dtype=torch.float64)]
