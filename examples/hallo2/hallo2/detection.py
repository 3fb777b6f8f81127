"""Where faces are: SCRFD, InsightFace's detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from hallo2.models import Model

SEARCHED = 640
"""Sides of what is searched; the picture fills as much of it as its proportions allow."""
STRIDES = (8, 16, 32)
ANCHORS = 2
"""Guesses at each place."""
SURE, SAME = 0.5, 0.4
"""How sure the detector is of a face at least, and how much of two boxes is one face's."""


@dataclass(frozen=True)
class Found:
    """In pixels of the picture. box: [left, top, right, bottom]; points: [5, 2], of the eyes, the
    nose and the corners of the mouth."""

    box: np.ndarray
    points: np.ndarray

    @property
    def area(self) -> float:
        left, top, right, bottom = map(float, self.box)
        return (right - left) * (bottom - top)


class Detector:
    """scrfd_10g_bnkps.onnx."""

    def __init__(self, path: str | Path) -> None:
        self._model = Model(path)

    def faces(self, picture: np.ndarray) -> list[Found]:
        """Of uint8 [rows, columns, 3] in RGB, the surest first."""
        canvas, scale = fitted(picture)
        made = self._model(((canvas.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None])
        levels = len(STRIDES)
        found = [
            _level(stride, *(made[level + kind * levels] for kind in range(3)))
            for level, stride in enumerate(STRIDES)
        ]
        scores, boxes, points = (np.concatenate(parts) for parts in zip(*found))
        order = np.argsort(-scores, kind="stable")
        boxes, points = boxes[order] / scale, points[order] / scale
        return [Found(boxes[i], points[i]) for i in distinct(boxes)]


def fitted(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture in the upper left of a square, black around it, and how much larger it is."""
    rows, columns = picture.shape[:2]
    if rows > columns:
        height, width = SEARCHED, int(SEARCHED / (rows / columns))
    else:
        height, width = int(SEARCHED * (rows / columns)), SEARCHED
    canvas = np.zeros((SEARCHED, SEARCHED, 3), np.uint8)
    canvas[:height, :width] = cv2.resize(picture, (max(1, width), max(1, height)))[:height, :width]
    return canvas, height / rows


def _level(
    stride: int, scores: np.ndarray, sides: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores [n], boxes [n, 4], points [n, 5, 2]) of what is sure enough. The network gives
    distances in strides: to the four sides, and to five points."""
    scores = scores.reshape(-1)
    sure = np.flatnonzero(scores >= SURE)
    across = SEARCHED // stride
    place = sure // ANCHORS
    centre = np.stack([place % across, place // across], axis=1).astype(np.float32) * stride
    sides = sides.reshape(-1, 4)[sure] * stride
    boxes = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1)
    away = points.reshape(-1, 5, 2)[sure] * stride
    return scores[sure], boxes, centre[:, None] + away


def distinct(boxes: np.ndarray) -> list[int]:
    """Indices of the boxes [n, 4], the surest first, that are no face that was there before."""
    kept: list[int] = []
    for i, box in enumerate(boxes):
        if not len(kept) or _shared(box, boxes[kept]).max() <= SAME:
            kept.append(i)
    return kept


def _shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Part of two boxes together that both have, [n]; one that ends at a pixel has that pixel."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.maximum(0, high - low + 1).prod(1)
    either = (box[2:] - box[:2] + 1).prod() + (others[:, 2:] - others[:, :2] + 1).prod(1)
    return np.asarray(both / (either - both))
