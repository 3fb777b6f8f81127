"""Draws the faces of a frame anew, and puts them back where they were; what is round them too."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from cvl_inside.faces.background import Background
from cvl_inside.faces.detector import five_points_of
from cvl_inside.faces.parser import FaceParser
from cvl_inside.faces.placing import (
    LEAST,
    bytes_of,
    cut,
    eyes_apart,
    pixels_of,
    shown,
    upright,
    way_back,
)
from cvl_inside.faces.retina_face import RetinaFace

from sadtalker.restorer import Restorer

LARGEST = 2048  # pixels of a frame that is enlarged


@dataclass(frozen=True)
class Enhancer:
    """Three nets, on one device; with `background`, a fourth enlarges the frame."""

    detector: RetinaFace
    restorer: Restorer
    parser: FaceParser
    background: Background | None = None

    @torch.inference_mode()
    def enhance(self, frame: np.ndarray) -> np.ndarray:
        """(H, W, 3) red-green-blue bytes -> twice as large, or as large where a side has more than
        LARGEST pixels."""
        factor = 1 if max(frame.shape) > LARGEST else 2
        size = frame.shape[1] * factor, frame.shape[0] * factor
        whole = self.background.enlarged(frame) if self.background else frame
        made = cv2.resize(whole, size, interpolation=cv2.INTER_LANCZOS4)
        for points in five_points_of(self.detector, frame[..., ::-1]):
            there = upright(points) if eyes_apart(points) >= LEAST else None
            if there is not None:
                face = pixels_of(cut(frame, there), self.restorer)
                drawn = bytes_of(self.restorer(face)[0])
                made = pasted(made, drawn, shown(self.parser, drawn), way_back(there, factor))
        return made


def pasted(frame: np.ndarray, face: np.ndarray, share: np.ndarray, back: np.ndarray) -> np.ndarray:
    """back: (2, 3), from the face to the frame."""
    size = frame.shape[1], frame.shape[0]
    face = cv2.warpAffine(face, back, size)
    share = cv2.warpAffine(share, back, size)[..., None]
    return (share * face + (1 - share) * frame).astype(np.uint8)
