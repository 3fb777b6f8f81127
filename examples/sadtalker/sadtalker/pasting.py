"""Puts a rendered part back into its picture without a seam."""

from __future__ import annotations

import cv2
import numpy as np

from sadtalker.framing import Box


def paste(picture: np.ndarray, part: np.ndarray, box: Box) -> np.ndarray:
    """(H, W, 3) bytes with `part` scaled into `box`; its colours are fitted to what is round it."""
    left, top, right, bottom = box
    scaled = cv2.resize(part, (right - left, bottom - top))
    mask = np.full_like(scaled, 255)
    centre = ((left + right) // 2, (top + bottom) // 2)
    return cv2.seamlessClone(scaled, picture, mask, centre, cv2.NORMAL_CLONE)
