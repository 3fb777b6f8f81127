"""Which part of a picture is rendered, and where it goes back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
LARGEST = 512  # pixels; where a face is several times that, the picture is shrunk before
BORDER = 0.1  # of the face's size, round it
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
MOUTH_LEFT, MOUTH_RIGHT = 48, 54
MODES = ("crop", "extcrop", "resize", "full", "extfull")


@dataclass(frozen=True)
class Framing:
    """`size`: what the picture is scaled to before; `box`: what is then cut out of it."""

    size: tuple[int, int]
    box: Box

    def cut(self, picture: np.ndarray) -> np.ndarray:
        scaled = picture
        if (picture.shape[1], picture.shape[0]) != self.size:
            scaled = cv2.resize(picture, self.size)
        left, top, right, bottom = self.box
        return scaled[top:bottom, left:right]

    def box_in(self, width: int, height: int) -> Box:
        """Where that was in the picture as it was, which had this size."""
        across, down = width / self.size[0], height / self.size[1]
        left, top, right, bottom = self.box
        return round(left * across), round(top * down), round(right * across), round(bottom * down)


def whole(picture: np.ndarray) -> Framing:
    height, width = picture.shape[:2]
    return Framing((width, height), (0, 0, width, height))


def around_face(picture: np.ndarray, landmarks: np.ndarray, extended: bool) -> Framing:
    """Round the (68, 2) landmarks of a face: `extended` has all that the square of the head, which
    may be tilted, reaches; else only what is between its corners."""
    height, width = picture.shape[:2]
    corners, side = head_square(landmarks)
    shrink = int(np.floor(side / LARGEST * 0.5))
    if shrink > 1:
        width, height = round(width / shrink), round(height / shrink)
        corners, side = corners / shrink, side / shrink
    border = max(int(np.rint(side * BORDER)), 3)
    low = np.floor(corners.min(0)).astype(int) - border
    high = np.ceil(corners.max(0)).astype(int) + border
    left, top = max(int(low[0]), 0), max(int(low[1]), 0)
    right, bottom = min(int(high[0]), width), min(int(high[1]), height)
    if not extended:
        upper_left, lower_left, lower_right, upper_right = corners - (left, top) + 0.5
        inner = (
            max(min(upper_left[0], lower_left[0]), 0),
            max(min(upper_left[1], upper_right[1]), 0),
            min(max(lower_right[0], upper_right[0]), right - left),
            min(max(lower_left[1], lower_right[1]), bottom - top),
        )
        right, bottom = left + int(inner[2]), top + int(inner[3])
        left, top = left + int(inner[0]), top + int(inner[1])
    return Framing((width, height), (left, top, right, bottom))


def head_square(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """Its corners (4, 2), from the upper left one down and round, and its side."""
    eyes = landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)
    between, across = (eyes[0] + eyes[1]) / 2, eyes[1] - eyes[0]
    mouth = (landmarks[MOUTH_LEFT] + landmarks[MOUTH_RIGHT]) / 2
    down = mouth - between
    x = across - down[::-1] * (-1, 1)
    x /= np.hypot(*x)
    x *= max(np.hypot(*across) * 2.0, np.hypot(*down) * 1.8)
    y = x[::-1] * (-1, 1)
    centre = between + down * 0.1
    corners = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    return corners, float(np.hypot(*x) * 2)
