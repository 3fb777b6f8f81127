"""A face as the net of the 3D model wants it: 224x224 pixels, upright in size and place."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 224
SCALE = 102.0
# Left and right eye, tip of the nose, left and right corner of the mouth of the standard face.
STANDARD = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.0032535, -0.04617932, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.2484662, -0.38128236, 0.22235769],
    ],
    np.float32,
)
# Where these are among 68 landmarks; each is the mean of two.
PAIRS = np.array([(36, 39), (42, 45), (30, 30), (48, 48), (54, 54)])


def five_points(landmarks: np.ndarray | None, width: int, height: int) -> np.ndarray:
    """(5, 2) with y upwards, of (68, 2) landmarks with y downwards; where none were found, where
    they would be if the picture were cut round an average face."""
    if landmarks is None:
        return (STANDARD[:, :2] + 1) / 2 * (width, height)
    points = landmarks[PAIRS].mean(1)
    return np.stack([points[:, 0], height - 1 - points[:, 1]], 1)


def aligned(picture: Image.Image, points: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """The picture moved and scaled so that the (5, 2) points fit the standard face, and how:
    scale, x, y in float32."""
    (x, y), scale = placed(points)
    scale = SCALE / scale
    width, height = int(picture.width * scale), int(picture.height * scale)
    left = int(width / 2 - SIDE / 2 + (x - picture.width / 2) * scale)
    top = int(height / 2 - SIDE / 2 + (picture.height / 2 - y) * scale)
    scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
    made = scaled.crop((left, top, left + SIDE, top + SIDE))
    return made, np.array([scale, x, y], np.float32)


def placed(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the standard face is, and how large, when its (5, 2) points are seen there: the least
    squares solution of a scaled orthographic projection."""
    known = np.zeros((2 * len(points), 8))
    known[0::2, 0:3] = known[1::2, 4:7] = STANDARD
    known[0::2, 3] = known[1::2, 7] = 1
    solved = np.linalg.lstsq(known, points.reshape(-1), rcond=None)[0]
    scale = (np.linalg.norm(solved[0:3]) + np.linalg.norm(solved[4:7])) / 2
    return solved[[3, 7]], float(scale)
