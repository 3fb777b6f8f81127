"""Puts a face that was drawn anew back into its frame."""

from __future__ import annotations

import cv2
import numpy as np

GREY = 10.0
"""Variance of the differences between the colours of a picture that has none."""
LIGHT = (0.2989, 0.5870, 0.1140)
"""Of red, green and blue."""
EDGE_PARTS = 20
"""Of the square of a face, one is the edge in which it fades."""
EPS = 1e-5


def pasted(
    frame: np.ndarray, face: np.ndarray, share: np.ndarray, back: np.ndarray, upscale: int
) -> np.ndarray:
    """A frame, uint8 [rows, columns, 3], with a face [side, side, 3] in it.

    share: [side, side] in [0, 1], how much of the face is shown by what it is; back: [2, 3], from
    the face to the frame, which was enlarged by `upscale`.
    """
    size = frame.shape[1], frame.shape[0]
    square = cv2.warpAffine(np.ones(face.shape[:2], np.float32), back, size)
    square = eroded(square, 2 * upscale)  # its edge is of pixels that are half black
    edge = int(np.sum(square) ** 0.5) // EDGE_PARTS
    soft = cv2.GaussianBlur(eroded(square, 2 * edge), (2 * edge + 1, 2 * edge + 1), 0)
    seen = np.minimum(soft, cv2.warpAffine(share, back, size))[..., None]
    laid = square[..., None] * cv2.warpAffine(face, back, size)
    return (seen * laid + (1 - seen) * frame).astype(np.uint8)


def eroded(mask: np.ndarray, pixels: int) -> np.ndarray:
    """[rows, columns] without its outermost pixels, half of them at each side."""
    return cv2.erode(mask, np.ones((pixels, pixels), np.uint8)) if pixels else mask


def enlarged_way_back(there: np.ndarray, upscale: int) -> np.ndarray:
    """[2, 3], to a frame that was enlarged by `upscale`, of a face that was so too."""
    back = cv2.invertAffineTransform(there)
    back[:, 2] *= upscale
    return back


def is_grey(picture: np.ndarray) -> bool:
    """Has uint8 [rows, columns, 3] no colours?"""
    levels = picture.astype(np.int16).reshape(-1, 3)
    apart = levels - np.roll(levels, 1, 1)
    return float(apart.var(0).mean()) <= GREY


def without_colour(drawn: np.ndarray, face: np.ndarray) -> np.ndarray:
    """float64 [side, side, 3]: grey, as light and with the contrast of the face that was there."""
    grey = (drawn @ np.array(LIGHT))[..., None]
    mean, spread = face.mean((0, 1)), face.var((0, 1)) + EPS
    return (grey - grey.mean()) / np.sqrt(grey.var() + EPS) * np.sqrt(spread) + mean
