"""The face of a portrait: where it and its lips are, and who it is, by InsightFace's networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from hallo2.detection import Detector, Found
from hallo2.models import Model

FOLDER = Path("face_analysis") / "models"
DETECTOR, LANDMARKS, IDENTITY = "scrfd_10g_bnkps.onnx", "2d106det.onnx", "glintr100.onnx"
UPRIGHT = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
"""Where the eyes, the nose and the corners of the mouth are in what the identity is read from."""
UPRIGHT_SIDE = 112
MARGIN = 1.5
"""Of the square in which landmarks are looked for, to the face."""
CONTOUR, LIPS = slice(0, 33), slice(52, 72)
"""Of the 106 landmarks."""


@dataclass(frozen=True)
class Face:
    """Boxes [left, top, right, bottom] in pixels of the picture. embedding: float32 [512], as the
    network gives it."""

    box: np.ndarray
    lips: np.ndarray
    embedding: np.ndarray


class FaceReader:
    """The three networks, of the folder of the checkpoint."""

    def __init__(self, folder: Path) -> None:
        models = folder / FOLDER
        self._detector = Detector(models / DETECTOR)
        self._landmarks = Model(models / LANDMARKS)
        self._identity = Model(models / IDENTITY)

    def largest(self, picture: np.ndarray) -> Face | None:
        """Of uint8 [rows, columns, 3] in RGB; None where there is no face."""
        faces = self._detector.faces(picture)
        if not faces:
            return None
        found = max(faces, key=lambda face: face.area)
        points = self._points(picture, found)
        contour, lips = points[CONTOUR], points[LIPS]
        # The landmarks end at the brows; the detector's box has the forehead.
        box = np.concatenate([contour.min(0), contour.max(0)])
        box[1] = min(box[1], found.box[1])
        mouth = np.concatenate([lips.min(0), lips.max(0)])
        return Face(box, mouth, self._embedding(picture, found))

    def _points(self, picture: np.ndarray, found: Found) -> np.ndarray:
        """[106, 2]."""
        side = int(self._landmarks.shape[-1])
        low, high = found.box[:2], found.box[2:]
        scale = side / (float((high - low).max()) * MARGIN)
        shift = side / 2 - (low + high) / 2 * scale
        cut = cv2.warpAffine(
            picture, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), (side, side)
        )
        (made, *_) = self._landmarks(_batch(cut, 0.0, 1.0))
        return ((made.reshape(-1, 2) + 1) * (side // 2) - shift) / scale

    def _embedding(self, picture: np.ndarray, found: Found) -> np.ndarray:
        turned = similarity(found.points, UPRIGHT)
        cut = cv2.warpAffine(picture, turned, (UPRIGHT_SIDE, UPRIGHT_SIDE))
        return self._identity(_batch(cut, 127.5, 127.5))[0].reshape(-1)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[2, 3]: turns, scales and moves points [n, 2] to lie nearest to others (least squares)."""
    begin, end = (points.astype(np.float64) @ [1, 1j] for points in (source, target))
    a, b = begin - begin.mean(), end - end.mean()
    turn = (a.conj() @ b) / (a.conj() @ a)
    shift = end.mean() - turn * begin.mean()
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float64
    )


def _batch(picture: np.ndarray, mean: float, scale: float) -> np.ndarray:
    """float32 [1, 3, rows, columns] of uint8 [rows, columns, 3]."""
    level = (picture.astype(np.float32) - np.float32(mean)) / np.float32(scale)
    return np.ascontiguousarray(level.transpose(2, 0, 1)[None])
