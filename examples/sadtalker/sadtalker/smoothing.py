"""A movement without its jitter: a parabola is fitted round each frame (Savitzky and Golay)."""

from __future__ import annotations

import numpy as np

WINDOW = 13
ORDER = 2


def smooth(track: np.ndarray) -> np.ndarray:
    """(T, N) -> the same; near the ends the first and last parabola are read."""
    frames = len(track)
    width = WINDOW if frames >= WINDOW else (frames - 1) // 2 * 2 + 1
    if width <= ORDER:
        return track
    half = width // 2
    powers = np.vander(np.arange(-half, half + 1), ORDER + 1, increasing=True).astype(np.float64)
    fitted = powers @ np.linalg.pinv(powers)  # what the parabola says at each place of the window
    pieces = np.lib.stride_tricks.sliding_window_view(track.astype(np.float64), width, 0)
    made = np.empty(track.shape)
    made[half : frames - half] = pieces @ fitted[half]
    made[:half] = fitted[:half] @ pieces[0].T
    made[frames - half :] = fitted[half + 1 :] @ pieces[-1].T
    return made.astype(track.dtype)
