"""The small separator and the sounds that audio-separator's numbers and ours are compared on."""

from __future__ import annotations

from pathlib import Path

import face_case
import numpy as np
from filling import filled

RATE = 44100
SECONDS = (0.3, 5.92, 14.0)
"""A part of a chunk, one and a bit, and several."""
SHAPE = ("batch_size", 4, 3072, 256)
GOLDEN = face_case.GOLDEN


def seen(seconds: float) -> np.ndarray:
    """Samples that are compared: all over, and those at the ends."""
    count = int(seconds * RATE)
    return np.r_[0:500, 500 : count - 500 : max(1, count // 3000), count - 500 : count]


def network(folder: Path) -> Path:
    """Gives of each bin another share."""
    path = folder / "shares.onnx"
    shares = filled("shares", (1, 1, 3072, 1), 0.3).numpy() + 0.5
    nodes = [face_case.Node("Mul", ["input", "shares"], "output")]
    face_case.write(path, ("input", SHAPE), {"output": SHAPE}, nodes, {"shares": shares})
    return path


def mix(seconds: float) -> np.ndarray:
    """float32 [n, 2], no louder than 0.9."""
    noise = filled(f"mix {seconds}", (int(seconds * RATE), 2), 0.3).numpy()
    return np.asarray(noise.clip(-0.9, 0.9), np.float32)
