"""When the eyes shut."""

from __future__ import annotations

import random

import numpy as np

CLOSING = (0.5, 0.9, 1.0, 0.9, 0.5)
FEWEST = 20  # frames; a shorter video has no blink
EARLIEST, LATEST = 10, 70  # frames between two blinks


def blinks(frames: int, chance: random.Random) -> np.ndarray:
    """(T, 1): how far the eyes are shut."""
    shut = np.zeros((frames, 1), np.float32)
    waits = range(EARLIEST, min(frames // 2, LATEST))
    if frames <= FEWEST or not waits:
        return shut
    frame = chance.choice(waits)
    while frame + len(CLOSING) <= frames - 1:
        shut[frame : frame + len(CLOSING), 0] = CLOSING
        frame += len(CLOSING) + chance.choice(waits)
    return shut
