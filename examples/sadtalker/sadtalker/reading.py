"""What is to be known of a face in a picture: where it is, and its 3D coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from cvl_inside.faces.detector import find_face
from cvl_inside.faces.retina_face import RetinaFace
from PIL import Image

from sadtalker.face3d import FaceReconstruction, motion_of
from sadtalker.face_input import aligned, five_points
from sadtalker.framing import Framing, around_face, whole
from sadtalker.landmark_net import LandmarkNet, find_landmarks

MOVING = 70  # 64 of expression, three angles, three of shift
COEFFICIENTS = MOVING + 3  # ... and scale, x, y of the picture in front of the 3D net


SMALLEST = 32  # pixels on each side of what is rendered


class NoFace(ValueError):
    """The detector is sure of no face in the picture, or it is too small."""


@dataclass(frozen=True)
class Face:
    """`part`: (S, S, 3) red-green-blue bytes that are rendered from; coefficients: (73,)."""

    part: np.ndarray
    coefficients: np.ndarray
    framing: Framing


@dataclass(frozen=True)
class Reader:
    """Three nets, on one device."""

    detector: RetinaFace
    landmarks: LandmarkNet
    reconstruction: FaceReconstruction

    def face(self, picture: np.ndarray, preprocess: str, size: int) -> Face:
        """Of (H, W, 3) red-green-blue bytes. Raises NoFace, but for `resize`."""
        framing = self.framing(picture, preprocess)
        part = cv2.resize(framing.cut(picture), (size, size))
        return Face(part, self.coefficients(part, self.points(part)), framing)

    def framing(self, picture: np.ndarray, preprocess: str) -> Framing:
        if preprocess == "resize":
            return whole(picture)
        points = self._points(picture, picture)
        if points is None:
            raise NoFace("no face was found in the picture")
        framing = around_face(picture, points, "ext" in preprocess)
        left, top, right, bottom = framing.box
        if min(right - left, bottom - top) < SMALLEST:
            raise NoFace("the face in the picture is too small")
        return framing

    def points(self, part: np.ndarray) -> np.ndarray | None:
        """(68, 2) landmarks in (S, S, 3) red-green-blue bytes; None where no face is found."""
        return self._points(part, part[..., ::-1])

    def coefficients(self, part: np.ndarray, points: np.ndarray | None) -> np.ndarray:
        """(S, S, 3) red-green-blue bytes and its landmarks -> (73,)."""
        height, width = part.shape[:2]
        placed = five_points(points, width, height)
        picture, placement = aligned(Image.fromarray(part), placed)
        pixels = torch.from_numpy(np.array(picture) / 255).float().permute(2, 0, 1)[None]
        device = next(self.reconstruction.parameters()).device
        moving = motion_of(self.reconstruction(pixels.to(device)))[0].cpu().numpy()
        return np.concatenate([moving, placement])

    def _points(self, picture: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
        """(68, 2) landmarks; `seen` is the picture with its channels as the detector had them when
        upstream called it: blue first for a part, red first for a picture that is yet to be cut."""
        box = find_face(self.detector, seen)
        if box is None:
            return None
        left, top, right, bottom = box
        points = find_landmarks(self.landmarks, picture[top:bottom, left:right])
        return points + np.array([left, top], np.float32)
