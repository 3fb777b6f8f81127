"""The size of the video: the area that was asked for, in the proportions of the picture."""

import math
from dataclasses import dataclass

from cvl_inside import InputError

STEP = 64
"""Pixels: the motion encoder takes 8x8 latents of 8x8 pixels together."""
WIDEST = 3.0


@dataclass(frozen=True)
class Size:
    """In pixels."""

    width: int
    height: int


def parse_area(text: str) -> int:
    """Pixels of `1024*704` or 1024x704. Raises InputError."""
    width, _, height = text.lower().replace("x", "*").partition("*")
    if not (width.strip().isdigit() and height.strip().isdigit()):
        raise InputError(f"--size is WIDTH*HEIGHT, as in 1024*704, not {text!r}")
    return int(width) * int(height)


def size_for(area: int, ratio: float) -> Size:
    """The largest of `area` pixels at most, nearest to width / height = ratio (3:1 at most), in
    multiples of STEP."""
    ratio = min(max(ratio, 1 / WIDEST), WIDEST)
    wide, high = math.sqrt(area * ratio) / STEP, math.sqrt(area / ratio) / STEP
    columns, rows = max(1, round(wide)), max(1, round(high))
    while columns * rows * STEP * STEP > area and columns * rows > 1:
        if rows == 1 or (columns > 1 and columns / wide > rows / high):
            columns -= 1
        else:
            rows -= 1
    return Size(columns * STEP, rows * STEP)
