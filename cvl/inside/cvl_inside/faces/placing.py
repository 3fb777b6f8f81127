"""Puts faces upright into squares, and says which of their pixels are put back, and where."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn

SIDE = 512  # pixels of a face that is drawn
# Where the eyes, the nose and the corners of the mouth are in it.
PLACES = np.array(
    [[192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935],
     [201.26117, 371.41043], [313.08905, 371.15118]]
)  # fmt: skip
OUTSIDE = (132, 133, 135)
LEAST = 5  # pixels between the eyes of a face that is drawn anew
NOT_SKIN = (0, 14, 16, 17, 18)  # classes: background, and what lies over or under the face
BLUR = (101, 101), 11
EDGE = 10  # pixels of a drawn face that are never shown


def eyes_apart(points: np.ndarray) -> float:
    """Pixels, of (5, 2)."""
    return float(np.hypot(*(points[0] - points[1])))


def upright(points: np.ndarray) -> np.ndarray | None:
    """(2, 3), from a picture with a face's (5, 2) points to its square; None for points that are
    no face's: all in one place."""
    return cv2.estimateAffinePartial2D(points, PLACES, method=cv2.LMEDS)[0]


def cut(picture: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(H, W, 3) red-green-blue bytes -> (SIDE, SIDE, 3), by (2, 3)."""
    return cv2.warpAffine(picture, there, (SIDE, SIDE), borderValue=OUTSIDE)


def way_back(there: np.ndarray, factor: int) -> np.ndarray:
    """(2, 3), from the square of a face to the picture, enlarged by `factor`."""
    back = np.asarray(cv2.invertAffineTransform(there), np.float64) * factor
    if factor > 1:
        back[:, 2] += 0.5 * factor  # the middle of a pixel
    return back


def pixels_of(face: np.ndarray, net: nn.Module) -> torch.Tensor:
    """(SIDE, SIDE, 3) bytes -> (1, 3, SIDE, SIDE) in -1..1, where the net is."""
    device = next(net.parameters()).device
    pixels = torch.from_numpy(face).permute(2, 0, 1)[None].to(device).float()
    return pixels / 127.5 - 1


def bytes_of(pixels: torch.Tensor) -> np.ndarray:
    """(3, H, W) in -1..1 -> (H, W, 3) bytes."""
    whole = ((pixels.clamp(-1, 1) + 1) / 2 * 255).round().to(torch.uint8)
    return whole.permute(1, 2, 0).cpu().numpy()


def shown(parser: nn.Module, face: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, 3) bytes -> (SIDE, SIDE) in 0..1: how much of it is put back, by what it is."""
    classes = parser(pixels_of(face, parser))[0].argmax(0).cpu().numpy()
    share = np.where(np.isin(classes, NOT_SKIN), 0.0, 255.0)
    for _ in range(2):
        share = cv2.GaussianBlur(share, *BLUR)
    inner = np.zeros_like(share)
    inner[EDGE:-EDGE, EDGE:-EDGE] = share[EDGE:-EDGE, EDGE:-EDGE]
    return inner / 255
