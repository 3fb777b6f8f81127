"""Where the head looks over the video, from a few angles that the caller gave."""

from __future__ import annotations

import numpy as np


def track(degrees: tuple[float, ...], frames: int) -> np.ndarray:
    """(T,) degrees: through all of them in turn at an even speed, then still."""
    if len(degrees) == 1 or frames == 1:
        return np.full(frames, degrees[0], np.float32)
    speed = sum(abs(b - a) for a, b in zip(degrees, degrees[1:])) / (frames - 1)
    pieces = [
        np.arange(a, b, speed if b > a else -speed) for a, b in zip(degrees, degrees[1:]) if a != b
    ]
    made = np.concatenate([*pieces, [degrees[-1]] * (not pieces)])[:frames]
    return np.pad(made, (0, frames - len(made)), "edge").astype(np.float32)
