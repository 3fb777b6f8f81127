"""The inside of the mouth: a soft dark with a hint of teeth and tongue."""

from __future__ import annotations

import cv2
import numpy as np
from curves import ramp
from landmarks import Face, Points
from lips import Lips
from picture import Image
from voice import Shape

EDGE = 0.025  # part of the mouth's width over which a lip's edge fades into the dark
TEETH = 0.075  # length of the upper teeth below the line between the lips, same unit
TOOTH = 0.105  # width of one tooth, same unit


class Cavity:
    """Colours are taken from the picture, so that the mouth fits its light."""

    def __init__(self, picture: Image, face: Face, lips: Lips) -> None:
        self.lips = lips
        lip = _mean_colour(picture, face.upper_outer, face.lower_outer)
        skin = _mean_colour(picture, face.oval)
        red = np.array([0.55, 0.5, 0.9], np.float32)
        self.dark = lip * 0.20 * red
        self.tongue = lip * 0.62 * np.array([0.85, 0.72, 1.0], np.float32)
        self.teeth = np.array([0.84, 0.95, 1.06], np.float32) * float(skin.max())
        self.edge = max(1.2, EDGE * face.mouth_width)

    def paint(
        self,
        skin: Image,
        u: np.ndarray,
        v: np.ndarray,
        above: np.ndarray,
        below: np.ndarray,
        shape: Shape,
        picture: Image,
    ) -> Image:
        """`skin` with the gap between the contours `above` and `below` filled."""
        cover = _cover(v, above, below, self.edge)
        rows, columns = np.nonzero(cover > 0)
        if not len(rows):
            return skin
        box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        inside = self._inside(u[box], v[box], above[box], below[box], shape)
        if self.lips.parted:
            inside = self._keep_own_teeth(inside, u[box], v[box], above[box], picture)
        part = cover[box][..., None]
        mixed = skin.copy()
        mixed[box] = np.clip(skin[box] * (1 - part) + inside * part + 0.5, 0, 255).astype(np.uint8)
        return mixed

    def _inside(
        self, u: np.ndarray, v: np.ndarray, above: np.ndarray, below: np.ndarray, shape: Shape
    ) -> np.ndarray:
        width = 2 * self.lips.half
        gap = np.maximum(below - above, 0.5)
        tallest = float(gap.max())
        depth = (v - above) / gap
        colour = np.broadcast_to(self.dark, (*u.shape, 3))
        tongue = ramp(depth, 0.45, 1.05) * ramp(np.float32(tallest), 0.05 * width, 0.25 * width)
        tongue = tongue * (1 - ramp(np.abs(u), 0.2 * width, 0.42 * width)) * 0.75
        colour = _mix(colour, self.tongue, tongue)
        if not self.lips.parted:
            colour = _mix(colour, self.teeth, self._teeth(u, v, tallest, shape))
        near = np.clip(np.minimum(v - above, below - v) / (0.04 * width + 1), 0, 1)
        return colour * (0.62 + 0.38 * near)[..., None]

    def _teeth(self, u: np.ndarray, v: np.ndarray, tallest: float, shape: Shape) -> np.ndarray:
        """They belong to the skull: the lips move over them."""
        width = 2 * self.lips.half
        rest = np.interp(u, self.lips.u, self.lips.upper)
        ends = TEETH * width * (1 - (u / (0.50 * width)) ** 2)
        row = 1 - ramp(v - rest, ends - 0.03 * width - 0.8, ends + 0.8)
        row = row * (1 - ramp(np.abs(u), 0.12 * width, 0.38 * width))
        lit = 0.62 + 0.38 * ramp(v - rest, -0.08 * width, ends)  # the upper lip casts a shadow
        parting = 1 - 0.10 * np.cos(np.pi * u / (TOOTH * width)) ** 8
        seen = ramp(np.float32(tallest), 0.05 * width, 0.22 * width)
        return row * lit * parting * seen * min(1.0, 1 + shape.wide) ** 2 * 0.9

    def _keep_own_teeth(
        self, inside: np.ndarray, u: np.ndarray, v: np.ndarray, above: np.ndarray, picture: Image
    ) -> np.ndarray:
        """In a picture that smiles, what its lips leave open stays in place."""
        top, bottom = (np.interp(u, self.lips.u, c) for c in (self.lips.upper, self.lips.lower))
        x, y = self.lips.to_picture(u, np.clip(v, top, bottom))
        x, y = (np.asarray(n, np.float32) for n in (x, y))
        own = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        fade = 0.06 * self.lips.half + 1
        kept = 1 - ramp(v - bottom, -0.25 * fade, fade)
        return _mix(inside, own.astype(np.float32), kept)


def _cover(v: np.ndarray, above: np.ndarray, below: np.ndarray, edge: float) -> np.ndarray:
    """How much of the gap lies around every pixel; nothing at all where the contours touch."""
    inside = np.minimum(v + edge / 2, below) - np.maximum(v - edge / 2, above)
    return np.clip(inside / edge, 0, 1)


def _mix(base: np.ndarray, colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return base + (colour - base) * weight[..., None]


def _mean_colour(picture: Image, *contours: Points) -> np.ndarray:
    mask = np.zeros(picture.shape[:2], np.uint8)
    outline = contours[0] if len(contours) == 1 else np.vstack([contours[0], contours[1][::-1]])
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 255)
    return np.array(cv2.mean(picture, mask)[:3], np.float32)
