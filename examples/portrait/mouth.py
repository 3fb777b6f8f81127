"""Open and round the mouth: two layers of skin slide apart along the line between the lips."""

from __future__ import annotations

import cv2
import numpy as np
from cavity import Cavity
from curves import ramp
from landmarks import Face
from lips import Lips
from picture import Image
from voice import Shape

OPENING = 0.32  # of the mouth's width, for the loudest ah
UPPER_LIP = 0.12  # the part of the opening by which the upper lip rises
JAW = 0.72  # the part of the opening by which the chin sinks
NARROW, SPREAD = 0.40, 0.10  # how much an oo narrows and an ee widens the mouth
STEPS = 5  # of the fixed point that inverts the displacement; the error is then under 0.1 px


class Mouth:
    """Everything that stays the same from frame to frame, worked out once."""

    def __init__(self, picture: Image, face: Face, strength: float) -> None:
        self.picture = picture
        self.lips = Lips(picture, face)
        # A smile that shows teeth is half open already, and rounds badly.
        ease = 0.6 if self.lips.parted else 1.0
        self.opening = OPENING * face.mouth_width * strength * ease
        self.narrow, self.spread = (w * min(1.0, strength) * ease for w in (NARROW, SPREAD))
        self.left, self.top, right, bottom = self._region(face, picture)
        y, x = np.mgrid[self.top : bottom, self.left : right]
        frame = self.lips.to_frame(np.stack([x, y], axis=-1))
        self.u, self.v = (frame[..., axis].astype(np.float32) for axis in (0, 1))
        self.upper_jaw, self.lower_jaw = self._jaw_fields(face)
        self.narrowing = self._narrowing(face)
        self.cavity = Cavity(picture, face, self.lips)

    def draw(self, shape: Shape) -> Image:
        """The whole picture with the mouth in this shape."""
        if shape.open <= 0 and shape.wide == 0:
            return self.picture
        frame = self.picture.copy()
        rows, columns = self.u.shape
        frame[self.top : self.top + rows, self.left : self.left + columns] = self._region_at(shape)
        return frame

    def _region_at(self, shape: Shape) -> Image:
        upper, lower = (self._displacement(jaw, shape) for jaw in (self.upper_jaw, self.lower_jaw))
        above = self._contour(self.lips.upper, upper)
        below = self._contour(self.lips.lower, lower)
        corners = self.lips.u[[0, -1]] + self._at(upper, self.lips.u, self.lips.upper)[[0, -1], 0]
        between = (self.u > corners[0]) & (self.u < corners[1])
        below = np.where(between, np.maximum(above, below), above)
        is_upper = self.v < (above + below) / 2
        u_from, v_from = np.where(is_upper[..., None], self._invert(upper), self._invert(lower)).T
        skin = self._sample(u_from.T, v_from.T)
        return self.cavity.paint(skin, self.u, self.v, above, below, shape, self.picture)

    def _displacement(self, jaw: np.ndarray, shape: Shape) -> np.ndarray:
        """How far every point of one layer moves, u and v, in pixels."""
        narrow = shape.wide * (self.spread if shape.wide > 0 else self.narrow)
        moved = self.narrowing * np.float32(narrow)
        moved[..., 1] += jaw * np.float32(shape.open * self.opening)
        return moved

    def _contour(self, rest: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Where a lip's contour has gone: v for the u of every pixel of the region."""
        shift = self._at(moved, self.lips.u, rest)
        u, v = self.lips.u + shift[:, 0], rest + shift[:, 1]
        return np.interp(self.u, u, v).astype(np.float32)

    def _at(self, field: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """A field of the region at points of the frame."""
        x, y = self.lips.to_picture(u, v)
        x, y = (np.asarray(n - o, np.float32) for n, o in ((x, self.left), (y, self.top)))
        sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return sampled.reshape(*x.shape, 2)

    def _invert(self, moved: np.ndarray) -> np.ndarray:
        """The place every pixel comes from: solves `from + moved(from) = pixel`."""
        here = np.stack([self.u, self.v], axis=-1)
        origin = here - moved
        for _ in range(STEPS - 1):
            origin = here - self._at(moved, origin[..., 0], origin[..., 1])
        return origin

    def _sample(self, u: np.ndarray, v: np.ndarray) -> Image:
        x, y = (np.asarray(n, np.float32) for n in self.lips.to_picture(u, v))
        return cv2.remap(self.picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def _region(self, face: Face, picture: Image) -> tuple[int, int, int, int]:
        """The only pixels that speech changes: left, top, right, bottom."""
        chin, nose = (self.lips.to_frame(point)[1] for point in (face.chin, face.nose_base))
        side = max(2.6 * self.lips.half, float(np.abs(self.lips.to_frame(face.oval)[:, 0]).max()))
        u, v = np.meshgrid([-side, side], [nose, chin + _neck(chin)])
        x, y = self.lips.to_picture(u, v)
        height, width = picture.shape[:2]
        left, right = np.clip([x.min(), x.max() + 2], 0, width)
        top, bottom = np.clip([y.min(), y.max() + 2], 0, height)
        return int(left), int(top), int(right), int(bottom)

    def _jaw_fields(self, face: Face) -> tuple[np.ndarray, np.ndarray]:
        """Motion of the upper and the lower layer, down, for an opening of 1.

        Both share the jaw's own motion, so beyond the corners of the mouth they are one skin.
        """
        chin, nose = (float(self.lips.to_frame(p)[1]) for p in (face.chin, face.nose_base))
        width = self._jaw_width(face, chin)
        sideways = 1 - ramp(np.abs(self.u), 0.35 * width, width)
        jaw = JAW * ramp(self.v, 0.8 * nose, 0.75 * chin) * sideways
        jaw *= 1 - ramp(self.v, chin, chin + _neck(chin))
        split = np.clip(1 - (self.u / self.lips.half) ** 2, 0, 1) ** 0.55
        above, below = (self._from_contour(c) for c in (self.lips.upper, self.lips.lower))
        seam = JAW * float(ramp(np.float32(0), 0.8 * nose, 0.75 * chin))
        rise = (seam + UPPER_LIP) * split * (1 - ramp(-above, -0.25 * nose, -0.95 * nose))
        fall = (1 - seam) * split * (1 - ramp(below, 0.25 * chin, 0.9 * chin))
        return (jaw - rise).astype(np.float32), (jaw + fall).astype(np.float32)

    def _jaw_width(self, face: Face, chin: float) -> float:
        u, v = self.lips.to_frame(face.oval).T
        beside = (v > -0.3 * chin) & (v < 0.5 * chin)
        return max(2.0 * self.lips.half, float(np.abs(u[beside]).mean()) if beside.any() else 0.0)

    def _from_contour(self, contour: np.ndarray) -> np.ndarray:
        return self.v - np.interp(self.u, self.lips.u, contour)

    def _narrowing(self, face: Face) -> np.ndarray:
        """Motion, u and v, of lips that spread by their own width: away from the middle."""
        chin, nose = (float(self.lips.to_frame(p)[1]) for p in (face.chin, face.nose_base))
        reach = np.exp(-((self.u / (1.45 * self.lips.half)) ** 4))
        reach *= 1 - ramp(np.abs(self.u), 1.6 * self.lips.half, 2.4 * self.lips.half)
        reach *= ramp(self.v, 0.8 * nose, 0.15 * nose)
        reach *= 1 - ramp(self.v, 0.35 * chin, 0.95 * chin)
        # Rounded lips come forward: they look taller as they get narrower.
        seam = (self.lips.upper + self.lips.lower) / 2
        taller = -0.3 * self._from_contour(seam) * reach
        return np.stack([self.u * reach, taller], axis=-1).astype(np.float32)


def _neck(chin: float) -> float:
    return 0.8 * chin
