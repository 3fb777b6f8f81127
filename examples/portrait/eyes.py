"""Blinks: the upper lid slides down over the eye."""

from __future__ import annotations

import random

import cv2
import numpy as np
from curves import ramp
from landmarks import Face, Points
from picture import Image

CLOSE_S, SHUT_S, OPEN_S = 0.08, 0.05, 0.16
FIRST_S = 1.2  # no blink before; a clip that opens with one looks like a fault
# Parts of half the eye's width: the lashes, which move as they are; how far above the lid the
# skin stretches, at least; how far past the lower lid the upper one goes, to leave no gap.
LASH, FOLD, OVERLAP = 0.14, 0.36, 0.06


class Eye:
    """One eye and the skin above it."""

    def __init__(self, picture: Image, upper: Points, lower: Points) -> None:
        self.picture = picture
        left, right = upper[0], upper[-1]
        half = float(np.linalg.norm(right - left)) / 2
        centre = (left + right) / 2
        self.along = (right - left) / (2 * half)
        self.down = np.array([-self.along[1], self.along[0]])
        self.left, self.top, end_x, end_y = _around(picture, centre, 1.5 * half)
        y, x = np.mgrid[self.top : end_y, self.left : end_x].astype(np.float32)
        away = np.stack([x, y], axis=-1) - centre
        u, v = away @ self.along, away @ self.down
        self.x, self.y, self.v = x, y, v.astype(np.float32)
        lid, rest = (self._curve(u, half, points - centre) for points in (upper, lower))
        gap = np.maximum(rest - lid, 0)
        corners = np.clip(1 - (u / half) ** 2, 0, 1)
        self.lid = lid
        self.travel = gap + OVERLAP * half * corners * (gap > 0)
        self.lash = LASH * half
        self.fold = max(FOLD * half, 0.85 * float(gap.max()))
        self.present = np.clip(5 * corners, 0, 1).astype(np.float32)

    def _curve(self, u: np.ndarray, half: float, points: Points) -> np.ndarray:
        """A lid as one smooth arch through its landmarks."""
        arch = np.polynomial.Polynomial.fit(points @ self.along, points @ self.down, 4)
        return arch(np.clip(u, -half, half)).astype(np.float32)

    def draw(self, frame: Image, closed: float) -> None:
        """Lower the lid in place, by a part of the eye's height."""
        lid = self.lid + self.travel * closed
        x, y = self._origin(lid)
        area = np.s_[self.top : self.top + x.shape[0], self.left : self.left + x.shape[1]]
        skin = cv2.remap(self.picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        part = (np.clip((lid - self.v) / 1.5 + 0.5, 0, 1) * self.present)[..., None]
        part = np.where(self.v[..., None] > (self.lid - self.fold)[..., None], part, 0)
        frame[area] = np.rint(skin * part + frame[area] * (1 - part)).astype(np.uint8)

    def _origin(self, lid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The fold rests, the lashes keep their shape, the skin between them is stretched."""
        start, moved = self.lid - self.fold, lid - self.lid
        skin = self.fold - self.lash
        part = np.clip((self.v - start) / (skin + moved), 0, 1)
        shift = -moved * np.where(self.v > start, part, 0)
        return (
            (self.x + shift * self.down[0]).astype(np.float32),
            (self.y + shift * self.down[1]).astype(np.float32),
        )


def _around(picture: Image, centre: np.ndarray, reach: float) -> tuple[int, int, int, int]:
    height, width = picture.shape[:2]
    left, right = np.clip([centre[0] - reach, centre[0] + reach + 2], 0, width).astype(int)
    top, bottom = np.clip([centre[1] - reach, centre[1] + reach + 2], 0, height).astype(int)
    return int(left), int(top), int(right), int(bottom)


class Eyes:
    """Both eyes and the times at which they blink."""

    def __init__(self, picture: Image, face: Face, frames: int, fps: int, rate: float, seed: int):
        # Guessed lids would be drawn beside the eyes; then it is better not to blink.
        self.eyes = [Eye(picture, *lids) for lids in face.eyes] if face.exact else []
        self.fps = fps
        self.starts = _times(frames / fps, rate, seed)

    def draw(self, frame: Image, index: int) -> Image:
        """The frame with its eyes as far closed as they are at this time."""
        closed = self.closed(index / self.fps)
        if closed <= 0 or not self.eyes:
            return frame
        frame = frame.copy()
        for eye in self.eyes:
            eye.draw(frame, closed)
        return frame

    def closed(self, time: float) -> float:
        """0 open, 1 shut."""
        return max((_lid(time - start) for start in self.starts), default=0.0)


def _times(seconds: float, rate: float, seed: int) -> list[float]:
    """Starts of blinks, `rate` a minute on average, never in step."""
    chance, time = random.Random(seed), FIRST_S
    starts: list[float] = []
    while rate > 0:
        time += 60 / rate * chance.uniform(0.4, 1.6) * (0.4 if not starts else 1)
        if time + CLOSE_S + SHUT_S + OPEN_S > seconds:
            break
        starts.append(time)
    return starts


def _lid(since: float) -> float:
    if since < 0:
        return 0.0
    closing = min(1.0, since / CLOSE_S)
    opening = min(1.0, max(0.0, since - CLOSE_S - SHUT_S) / OPEN_S)
    return float(ramp(closing - opening, 0.0, 1.0))
