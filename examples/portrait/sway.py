"""A living head is never quite still: it drifts, tilts and nods a little."""

from __future__ import annotations

import random
from collections.abc import Callable

import cv2
import numpy as np
from curves import ramp
from landmarks import Face
from picture import Image

DRIFT, LIFT, TILT = 0.016, 0.010, 0.014  # of the face's height; the last in radians
SETTLE_S = 0.8  # the first frame is the picture; the motion grows from there
NOD = 0.010  # of the face's height, for the loudest syllable
INNER, OUTER = 1.15, 2.0  # ellipse that moves as one, and where all is at rest, in faces


class Sway:
    """Moves the head and lets the motion fade towards the shoulders and the background."""

    def __init__(self, picture: Image, face: Face, fps: int, amount: float, seed: int) -> None:
        low, high = face.oval.min(0), face.oval.max(0)
        self.height = float(high[1] - low[1]) * amount
        self.fps, self.amount, self.nod = fps, amount, 0.0
        chance = random.Random(seed)
        self.waves = [_wave(chance) for _ in range(3)]
        half = (high - low) / 2
        self.pivot = face.chin
        rows, columns = picture.shape[:2]
        centre = (low + high) / 2 - [0, 0.25 * half[1]]  # the mesh leaves out the hair
        begin = np.clip(centre - OUTER * half, 0, [columns, rows]).astype(int)
        end = np.clip(centre + OUTER * half + 1, 0, [columns, rows]).astype(int)
        self.area = np.s_[begin[1] : end[1], begin[0] : end[0]]
        y, x = np.mgrid[begin[1] : end[1], begin[0] : end[0]].astype(np.float32)
        self.x, self.y = x - begin[0], y - begin[1]
        self.right, self.below = x - np.float32(self.pivot[0]), y - np.float32(self.pivot[1])
        distance = np.hypot((x - centre[0]) / half[0], (y - centre[1]) / half[1])
        self.weight = ramp(distance, OUTER, INNER) * _frame_fade(
            x, y, columns, rows, float(half[0]) / 3
        )

    def draw(self, frame: Image, index: int, opening: float) -> Image:
        """The frame with its head where it is at this time."""
        if self.amount <= 0:
            return frame
        time = index / self.fps
        self.nod += (opening - self.nod) * min(1.0, 6 / self.fps)
        grown = min(1.0, time / SETTLE_S)
        across, up, turn = (wave(time) * grown for wave in self.waves)
        angle = TILT * turn * self.amount
        dx = DRIFT * across * self.height - angle * self.below
        dy = (LIFT * up + NOD * self.nod * grown) * self.height + angle * self.right
        moved = frame.copy()
        x = (self.x - dx * self.weight).astype(np.float32)
        y = (self.y - dy * self.weight).astype(np.float32)
        head = np.ascontiguousarray(frame[self.area])
        moved[self.area] = cv2.remap(head, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return moved


def _wave(chance: random.Random) -> Callable[[float], float]:
    parts = [
        (size, 2 * np.pi * hertz * chance.uniform(0.85, 1.15), chance.uniform(0, 2 * np.pi))
        for size, hertz in ((0.6, 0.17), (0.3, 0.31), (0.1, 0.63))
    ]

    def at(time: float) -> float:
        return float(sum(size * np.sin(speed * time + phase) for size, speed, phase in parts))

    return at


def _frame_fade(x: np.ndarray, y: np.ndarray, columns: int, rows: int, reach: float) -> np.ndarray:
    """At the picture's own edges nothing may move, or they would smear."""
    edge = np.minimum.reduce([x, columns - 1 - x, y, rows - 1 - y])
    return np.clip(edge / max(1.0, reach), 0, 1).astype(np.float32)
