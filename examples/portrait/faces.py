"""Find the face to animate, or say why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import cv2
import landmarks
import numpy as np
from cvl_inside import InputError
from landmarks import Box, Face
from picture import Image

SEARCH_SIDE = 1280  # faces are searched in a copy no larger than this
PROFILE = 0.45  # turned further than this, one half of the mouth is out of sight
CLOSE_UP = 1.9  # the mesh sees small faces best in a crop this many boxes wide
CHOICES = ("largest", "left", "right")


class Finder:
    """Haar cascades name the faces; the mediapipe mesh, where installed, measures them."""

    def __init__(self) -> None:
        self.mesh = landmarks.load_mesh()
        self.frontal = _cascade("haarcascade_frontalface_alt2.xml")
        self.side = _cascade("haarcascade_profileface.xml")
        self.eye = _cascade("haarcascade_eye.xml")

    def find(self, picture: Image, choice: str, warn: Callable[[str], None]) -> Face:
        """The face that `choice` names, in pixels of `picture`."""
        scale = min(1.0, SEARCH_SIDE / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if choice in CHOICES:
            face = _choose(self._all(small), choice, 1 / scale, warn)
        else:
            face = self._in_box(small, tuple(n * scale for n in _box(choice, picture)))
        if face.turn > PROFILE:
            raise _profile()
        face = face.moved(1 / scale)
        _need_mouth(face, picture)
        return face

    def _all(self, picture: Image) -> list[Face]:
        grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
        least = max(24, min(grey.shape) // 16)
        boxes = [tuple(map(float, box)) for box in _detect(self.frontal, grey, 4, least)]
        faces = [self._in_box(picture, box) for box in boxes]
        if self.mesh:
            # What the cascade took for a face and the mesh does not is none.
            faces = [face for face in faces if face.exact]
            faces += landmarks.find_with_mesh(self.mesh, picture)
        faces = _distinct(faces)
        if not faces and self._has_profile(grey, least):
            raise _profile()
        return faces

    def _in_box(self, picture: Image, box: Box) -> Face:
        x, y, width, height = box
        if self.mesh:
            side = CLOSE_UP * max(width, height)
            left, top = round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)
            left, top = max(0, left), max(0, top)
            crop = picture[top : top + round(side), left : left + round(side)]
            found = landmarks.find_with_mesh(self.mesh, np.ascontiguousarray(crop))
            if found:
                middle = np.array([x + width / 2 - left, y + height / 2 - top])
                nearest = min(found, key=lambda face: np.linalg.norm(_centre(face) - middle))
                return nearest.moved(1.0, left, top)
        return landmarks.from_box(box, self._eyes(picture, box))

    def _eyes(self, picture: Image, box: Box) -> tuple[tuple[float, float], ...]:
        """Centres of the left and right eye in the box, or nothing when they are not clear."""
        x, y, width, height = (int(n) for n in box)
        grey = cv2.cvtColor(picture[y : y + int(height * 0.6), x : x + width], cv2.COLOR_BGR2GRAY)
        if not grey.size:
            return ()
        eyes = [
            (ex + ew / 2 + x, ey + eh / 2 + y)
            for ex, ey, ew, eh in _detect(self.eye, grey, 6, max(8, width // 8))
        ]
        left = [eye for eye in eyes if 0.15 < (eye[0] - x) / width < 0.45]
        right = [eye for eye in eyes if 0.55 < (eye[0] - x) / width < 0.85]
        level = len(left) == 1 == len(right) and abs(left[0][1] - right[0][1]) < 0.2 * width
        return (left[0], right[0]) if level else ()

    def _has_profile(self, grey: np.ndarray, least: int) -> bool:
        mirrored = np.ascontiguousarray(grey[:, ::-1])
        return any(len(_detect(self.side, view, 4, least)) for view in (grey, mirrored))


def _cascade(name: str) -> Any:
    return cv2.CascadeClassifier(cv2.data.haarcascades + name)


def _detect(cascade: Any, grey: np.ndarray, neighbours: int, least: int) -> Any:
    return cascade.detectMultiScale(grey, 1.1, neighbours, minSize=(least, least))


def _centre(face: Face) -> np.ndarray:
    return (face.oval.min(0) + face.oval.max(0)) / 2


def _area(face: Face) -> float:
    return float(np.prod(np.ptp(face.oval, axis=0)))


def _distinct(faces: list[Face]) -> list[Face]:
    """One of each: detections whose centres lie within half a face width are the same face."""
    kept: list[Face] = []
    for face in sorted(faces, key=_area, reverse=True):
        reach = np.sqrt(_area(face)) / 2
        if all(np.linalg.norm(_centre(face) - _centre(other)) > reach for other in kept):
            kept.append(face)
    return kept


def _choose(faces: list[Face], choice: str, scale: float, warn: Callable[[str], None]) -> Face:
    if not faces:
        raise InputError(
            "No face was found in the image.",
            hint="Use a picture of a person who looks at the camera, or say where the face is "
            "with --face x,y,w,h (pixels of the image).",
            code="no_face",
        )
    across = sorted(faces, key=lambda face: _centre(face)[0])
    face = {"left": across[0], "right": across[-1], "largest": max(faces, key=_area)}[choice]
    if len(faces) > 1 and choice == "largest":
        x, y, width, height = (round(float(n) * scale) for n in _bounds(face))
        place = next(index for index, other in enumerate(across, 1) if other is face)
        warn(
            f"{len(faces)} faces were found; the largest speaks (number {place} from the left, at "
            f"{x},{y},{width},{height}). Choose with --face left, right or x,y,w,h."
        )
    return face


def _bounds(face: Face) -> Box:
    low, high = face.oval.min(0), face.oval.max(0)
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def _box(choice: str, picture: Image) -> Box:
    """`x,y,w,h` in pixels of the image as it was given."""
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", choice)
    box = tuple(float(n) for n in match.groups()) if match else (0.0, 0.0, 0.0, 0.0)
    x, y, width, height = box
    rows, columns = picture.shape[:2]
    if min(width, height) < 24 or x + width > columns or y + height > rows:
        raise InputError(
            f"--face {choice!r} does not name a face.",
            hint="Use largest, left, right, or x,y,w,h: a box of at least 24x24 pixels inside the "
            f"image, which is {columns}x{rows}.",
            code="bad_face",
        )
    return box


def _need_mouth(face: Face, picture: Image) -> None:
    lips = np.vstack([face.upper_outer, face.lower_outer])
    if lips.min() < 0 or np.any(lips.max(0) >= picture.shape[1::-1]):
        raise InputError(
            "The mouth of the face lies outside the image.",
            hint="Use a picture that shows the whole face, or name another one with --face.",
            code="no_mouth",
        )


def _profile() -> InputError:
    return InputError(
        "The face in the image is seen from the side; this example needs both sides of the mouth.",
        hint="Use a picture taken from the front, or name another face with --face left, right "
        "or x,y,w,h.",
        code="profile",
    )
