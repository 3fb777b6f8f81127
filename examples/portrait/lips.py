"""Where the lips meet: the curve along which the mouth will open."""

from __future__ import annotations

import cv2
import numpy as np
from landmarks import Face, Points
from picture import Image

SAMPLES = 129
CLOSED = 0.055  # lips nearer than this part of the mouth's width are closed
SEARCH_EXACT, SEARCH_GUESSED = 0.07, 0.22  # how far from the landmarks to look, same unit


class Lips:
    """The two inner lip contours as v over u, in a frame that lies along the mouth.

    u runs to the viewer's right and v down, in pixels, from the middle of the mouth's corners.
    """

    def __init__(self, picture: Image, face: Face) -> None:
        left, right = face.upper_inner[0], face.upper_inner[-1]
        self.centre = (left + right) / 2
        self.half = face.mouth_width / 2
        self.along = (right - left) / (2 * self.half)
        self.down = np.array([-self.along[1], self.along[0]])
        self.u = np.linspace(-self.half, self.half, SAMPLES)
        self.upper = self._curve(face.upper_inner)
        self.lower = np.maximum(self.upper, self._curve(face.lower_inner))
        self.parted = float((self.lower - self.upper).max()) > CLOSED * 2 * self.half
        if not self.parted:
            self.upper = self.lower = self._seam(picture, face)

    def to_frame(self, points: Points) -> Points:
        """u and v of points of the picture."""
        away = np.asarray(points, np.float64) - self.centre
        return np.stack([away @ self.along, away @ self.down], axis=-1)

    def to_picture(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of points of the frame."""
        x = self.centre[0] + u * self.along[0] + v * self.down[0]
        y = self.centre[1] + u * self.along[1] + v * self.down[1]
        return x, y

    def _curve(self, points: Points) -> np.ndarray:
        u, v = self.to_frame(points).T
        order = np.argsort(u)
        return np.interp(self.u, u[order], v[order])

    def _seam(self, picture: Image, face: Face) -> np.ndarray:
        """The dark line between closed lips, near the place that the landmarks give."""
        guess = (self.upper + self.lower) / 2
        search = SEARCH_EXACT if face.exact else SEARCH_GUESSED
        reach = max(1.5, search * 2 * self.half)
        offsets = np.linspace(-reach, reach, 41)
        u, v = np.meshgrid(self.u, offsets)
        x, y = self.to_picture(u, v + guess)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
        sampled = cv2.remap(grey, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
        sampled = cv2.GaussianBlur(sampled, (0, 0), sigmaX=SAMPLES / 16, sigmaY=1.5)
        bias = 8 * (offsets / reach)[:, None] ** 2  # without a clear line, trust the landmarks
        return guess + self._smooth(offsets[_darkest_path(sampled + bias)])

    def _smooth(self, shift: np.ndarray) -> np.ndarray:
        middle = np.abs(self.u) < 0.9 * self.half
        fit = np.polynomial.Polynomial.fit(self.u[middle], shift[middle], 4)
        return fit(np.clip(self.u, -0.95 * self.half, 0.95 * self.half))


def _darkest_path(cost: np.ndarray) -> np.ndarray:
    """The row for every column of the cheapest path from left to right (Viterbi)."""
    rows, columns = cost.shape
    total, came = cost[:, 0].copy(), np.zeros((rows, columns), np.int32)
    steps = np.array([0, -1, 1])
    for column in range(1, columns):
        before = np.clip(np.arange(rows)[:, None] + steps, 0, rows - 1)
        priced = total[before] + np.array([0.0, 0.6, 0.6])
        best = priced.argmin(1)
        came[:, column] = before[np.arange(rows), best]
        total = priced.min(1) + cost[:, column]
    path = np.empty(columns, np.int32)
    path[-1] = int(total.argmin())
    for column in range(columns - 1, 0, -1):
        path[column - 1] = came[path[column], column]
    return path
