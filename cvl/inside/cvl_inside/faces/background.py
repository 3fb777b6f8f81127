"""Draws whole frames twice as large, a tile at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from .enlarger import FACTOR, Enlarger

TILE = 400  # pixels
MARGIN = 10


@dataclass(frozen=True)
class Span:
    """Of a tile, along one side: what the net sees of the frame, what of that is shown, and where
    it lies in the larger frame."""

    seen: slice
    shown: slice
    place: slice


@dataclass(frozen=True)
class Background:
    """A net on one device. tile: pixels on each side, an even number, with which memory grows;
    margin: pixels round a tile that the net sees with it."""

    net: Enlarger
    tile: int = TILE
    margin: int = MARGIN

    @torch.inference_mode()
    def enlarged(self, frame: np.ndarray) -> np.ndarray:
        """(H, W, 3) red-green-blue bytes -> (2 H, 2 W, 3)."""
        height, width = frame.shape[:2]
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "reflect")
        made = np.empty((even.shape[0] * FACTOR, even.shape[1] * FACTOR, 3), np.uint8)
        across = list(spans(even.shape[1], self.tile, self.margin))
        for down, along in product(spans(even.shape[0], self.tile, self.margin), across):
            tile = self._enlarged(even[down.seen, along.seen])
            made[down.place, along.place] = tile[down.shown, along.shown]
        return made[: height * FACTOR, : width * FACTOR]

    def _enlarged(self, tile: np.ndarray) -> np.ndarray:
        weight = self.net.conv_first.weight
        pixels = torch.from_numpy(tile).to(weight.device).permute(2, 0, 1)[None].float() / 255
        made = self.net(pixels.to(weight.dtype))[0].float().clamp(0, 1)
        return (made * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def spans(length: int, tile: int, margin: int) -> Iterator[Span]:
    for start in range(0, length, tile):
        end, first = min(start + tile, length), max(start - margin, 0)
        yield Span(
            slice(first, min(end + margin, length)),
            slice((start - first) * FACTOR, (end - first) * FACTOR),
            slice(start * FACTOR, end * FACTOR),
        )
