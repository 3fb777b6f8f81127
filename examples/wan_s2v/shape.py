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
    """At most `area` pixels, near to width / height = ratio (3:1 at most), in multiples of STEP.
    What the picture loses at its sides counts twice as much as pixels that are not used."""
    ratio = min(max(ratio, 1 / WIDEST), WIDEST)
    squares = max(1, area // STEP**2)

    def loss(columns: int, rows: int) -> float:
        return 2 * abs(math.log(columns / rows / ratio)) + math.log(squares / columns / rows)

    fitting = ((squares // rows, rows) for rows in range(1, squares + 1))
    columns, rows = min(
        ((wide, rows) for most, rows in fitting for wide in range(1, most + 1)),
        key=lambda size: loss(*size),
    )
    return Size(columns * STEP, rows * STEP)
