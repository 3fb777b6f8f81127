"""The points of a face that the animation needs, measured or guessed from its box."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from picture import Image

Points = np.ndarray  # n x 2, x and y in pixels
Box = tuple[float, float, float, float]  # x, y, width, height

# Vertices of the mediapipe face mesh, from the viewer's left to right.
UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377)
OVAL += (152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
NOSE_TIP, NOSE_BASE, CHIN, LEFT_CHEEK, RIGHT_CHEEK = 1, 2, 152, 234, 454


@dataclass(frozen=True)
class Face:
    """Contours run from the viewer's left to right; `turn` is 0 en face and near 1 in profile."""

    upper_inner: Points
    lower_inner: Points
    upper_outer: Points
    lower_outer: Points
    nose_base: Points
    chin: Points
    oval: Points
    eyes: tuple[tuple[Points, Points], ...]
    turn: float
    exact: bool

    @property
    def mouth_width(self) -> float:
        return float(np.linalg.norm(self.upper_inner[-1] - self.upper_inner[0]))

    def moved(self, scale: float, dx: float = 0.0, dy: float = 0.0) -> Face:
        """The same face in a picture that was scaled, then shifted."""

        def move(points: Points) -> Points:
            return points * scale + np.array([dx, dy])

        names = ("upper_inner", "lower_inner", "upper_outer", "lower_outer")
        names += ("nose_base", "chin", "oval")
        eyes = tuple((move(upper), move(lower)) for upper, lower in self.eyes)
        return replace(self, eyes=eyes, **{name: move(getattr(self, name)) for name in names})


def load_mesh() -> Any | None:
    """The mediapipe face mesh, or None where mediapipe is not installed."""
    _stand_in_for_matplotlib()
    try:
        from mediapipe.python.solutions import face_mesh
    except ImportError:
        return None
    return face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=8)


def _stand_in_for_matplotlib() -> None:
    # mediapipe imports matplotlib for a drawing function that is never called here;
    # an empty module in its place saves 60 MB of packages.
    if "matplotlib" not in sys.modules:
        plotting = types.ModuleType("matplotlib.pyplot")
        package = types.ModuleType("matplotlib")
        package.pyplot = plotting  # type: ignore[attr-defined]
        sys.modules.update({"matplotlib": package, "matplotlib.pyplot": plotting})


def find_with_mesh(mesh: Any, picture: Image) -> list[Face]:
    """Every face that the mesh fits in the picture."""
    found = mesh.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).multi_face_landmarks or []
    height, width = picture.shape[:2]
    size = np.array([width, height], np.float64)
    return [_from_mesh(np.array([(p.x, p.y) for p in one.landmark]) * size) for one in found]


def _from_mesh(points: Points) -> Face:
    def pick(indices: tuple[int, ...]) -> Points:
        return points[list(indices)]

    return Face(
        upper_inner=pick(UPPER_INNER),
        lower_inner=pick(LOWER_INNER),
        upper_outer=pick(UPPER_OUTER),
        lower_outer=pick(LOWER_OUTER),
        nose_base=points[NOSE_BASE],
        chin=points[CHIN],
        oval=pick(OVAL),
        eyes=tuple((pick(upper), pick(lower)) for upper, lower in EYES),
        turn=_turn(points),
        exact=True,
    )


def _turn(points: Points) -> float:
    """How far the nose tip is from the middle of the cheeks: 0 en face, 1 on the outline."""
    across = points[RIGHT_CHEEK] - points[LEFT_CHEEK]
    along = np.dot(points[NOSE_TIP] - points[LEFT_CHEEK], across) / max(np.dot(across, across), 1)
    return float(abs(2 * along - 1))


def from_box(box: Box, eye_centres: tuple[tuple[float, float], ...] = ()) -> Face:
    """The proportions of a common face, laid into a box of the frontal Haar cascade."""
    x, y, width, height = box
    level = y + 0.39 * height
    eyes = eye_centres or ((x + 0.30 * width, level), (x + 0.70 * width, level))
    left, right = (np.array(eye, np.float64) for eye in eyes)
    across = right - left
    span = float(np.linalg.norm(across))
    axis_x, axis_y = across / span, np.array([-across[1], across[0]]) / span
    middle = (left + right) / 2

    def at(u: np.ndarray | float, v: np.ndarray | float) -> Points:
        """A point given in spans between the eyes, from the middle of the eyes."""
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        return middle + span * (u[..., None] * axis_x + v[..., None] * axis_y)

    u = np.linspace(-1, 1, 11)
    arch = 1 - u**2
    circle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    lids = np.linspace(-1, 1, 9)
    return Face(
        upper_inner=at(0.39 * u, 1.05),
        lower_inner=at(0.39 * u, 1.05),
        upper_outer=at(0.42 * u, 1.05 - 0.10 * arch),
        lower_outer=at(0.42 * u, 1.05 + 0.15 * arch),
        nose_base=at(0, 0.72),
        chin=at(0, 1.68),
        oval=at(1.02 * np.sin(circle), 0.42 - 1.26 * np.cos(circle)),
        eyes=tuple(
            (at(c + 0.22 * lids, -0.08 * (1 - lids**2)), at(c + 0.22 * lids, 0.07 * (1 - lids**2)))
            for c in (-0.5, 0.5)
        ),
        turn=0.0,
        exact=False,
    )
