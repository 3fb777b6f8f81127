"""The portrait and the regions of its face, as the networks take them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from hallo2.faces import Face
from hallo2.generation import Regions
from PIL import Image
from torch import Tensor

LIPS_EXPANDED = 2.0
SOFT = 64
"""Sides of the masks when they are made soft."""
FACE_BLUR, LIPS_BLUR = 51, 31
LEVELS = 4
LATENT = 8
"""Pixels of a side that are one latent."""


@dataclass(frozen=True)
class Portrait:
    """pixels: [3, side, side] in [-1, 1]; embedding: [512]."""

    pixels: Tensor
    embedding: Tensor
    regions: Regions


def prepared(picture: Image.Image, face: Face, side: int, expand: float) -> Portrait:
    """Of a square picture in RGB."""
    pixels = _levels(picture.resize((side, side), Image.Resampling.BILINEAR)) * 2 - 1
    sides = picture.height, picture.width
    return Portrait(
        pixels.permute(2, 0, 1).contiguous(),
        torch.from_numpy(face.embedding).float(),
        regions(filled(face.box, sides, expand), filled(face.lips, sides, LIPS_EXPANDED), side),
    )


def square(width: int, height: int, box: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom): the largest square of a picture that has the face in its middle,
    as far as the edges allow."""
    side = min(width, height)
    middle = (box[:2] + box[2:]) / 2
    low = np.clip(np.round(middle - side / 2), 0, [width - side, height - side]).astype(int)
    return int(low[0]), int(low[1]), int(low[0]) + side, int(low[1]) + side


def filled(box: np.ndarray, sides: tuple[int, int], expand: float) -> np.ndarray:
    """uint8 [rows, columns]: 255 in the box, which is made larger about its middle; what would lie
    beyond an edge is added at the other side."""
    rows, columns = sides
    low, high = np.round(box[:2]), np.round(box[2:])
    middle, half = (low + high) // 2, (high - low) * expand // 2
    low, high = middle - half, middle + half
    under = np.minimum(low, 0)
    low, high = low - under, high - under
    over = np.maximum(high - [columns, rows], 0)
    low, high = np.maximum(low - over, 0), high - over
    mask = np.zeros(sides, np.uint8)
    mask[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = 255
    return mask


def regions(face: np.ndarray, lips: np.ndarray, side: int) -> Regions:
    """Of masks of the face and of the lips, uint8 [rows, columns], for frames of side x side."""
    located = _levels(Image.fromarray(face).resize((side, side), Image.Resampling.BILINEAR))
    soft_face, soft_lips = soft(face, FACE_BLUR), soft(lips, LIPS_BLUR)
    around = ((1.0 - soft_face / 255.0) * 255).astype(np.uint8)
    return Regions(
        located[None].expand(3, -1, -1).contiguous(),
        _scaled(around, side),
        _scaled(cv2.subtract(soft_face, soft_lips), side),
        _scaled(soft_lips, side),
    )


def soft(mask: np.ndarray, blur: int) -> np.ndarray:
    """uint8 [64, 64], from 0 to 255."""
    small = cv2.GaussianBlur(cv2.resize(mask, (SOFT, SOFT)), (blur, blur), 0)
    return np.asarray(cv2.normalize(small, None, 0, 255, cv2.NORM_MINMAX))  # type: ignore[call-overload]


def _scaled(mask: np.ndarray, side: int) -> tuple[Tensor, ...]:
    """For the sides of each level: [places] in [0, 1]."""
    image = Image.fromarray(mask)
    sides = [side // LATENT >> level for level in range(LEVELS)]
    return tuple(_levels(image.resize((n, n), Image.Resampling.BILINEAR)).flatten() for n in sides)


def _levels(image: Image.Image) -> Tensor:
    """0 to 1."""
    return torch.from_numpy(np.asarray(image).astype(np.float32)) / 255
