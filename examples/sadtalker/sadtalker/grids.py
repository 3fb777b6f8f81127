"""Coordinates in -1..1 over a box of features."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def axes(size: torch.Size | tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of a box (depth, height, width): the coordinates along x, y and z, ends included."""
    depth, height, width = size
    along = (2 * (torch.arange(n).to(like) / (n - 1)) - 1 for n in (width, height, depth))
    x, y, z = along
    return x, y, z


def grid(size: torch.Size | tuple[int, ...], like: Tensor) -> Tensor:
    """(depth, height, width, 3), the last in order x, y, z."""
    x, y, z = axes(size, like)
    depth, height, width = torch.meshgrid(z, y, x, indexing="ij")
    return torch.stack([width, height, depth], 3)


def blobs(places: Tensor, size: torch.Size | tuple[int, ...], variance: float) -> Tensor:
    """A Gaussian round each of (B, K, 3) places: (B, K, depth, height, width)."""
    x, y, z = (
        torch.exp((axis - places[:, :, index, None]) ** 2 * (-0.5 / variance))
        for index, axis in enumerate(axes(size, places))
    )
    return z[:, :, :, None, None] * y[:, :, None, :, None] * x[:, :, None, None, :]
