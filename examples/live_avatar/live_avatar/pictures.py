"""The portrait at a size that the model takes: sides of a multiple of 64, and no more than an
area."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 64
STEPS = 100
"""Scales that are tried between the largest and the smallest that can fit."""

SIZES = {
    "704*384": 704 * 384,
    "720*400": 720 * 400,
    "688*368": 688 * 368,
    "384*256": 384 * 256,
    "480*832": 480 * 832,
    "832*480": 832 * 480,
    "704*1024": 704 * 1024,
    "1024*704": 1024 * 704,
    "720*1280": 720 * 1280,
    "1280*720": 1280 * 720,
    "704*1280": 704 * 1280,
    "1280*704": 1280 * 704,
}
"""Areas in pixels by the name they have for users: the sides follow the picture."""


def video_size(width: int, height: int, area: int) -> tuple[int, int]:
    """(width, height), multiples of 64, of the video from a picture: close to its proportions, no
    larger than `area` pixels, and no larger than the picture needs."""
    for scale in _scales(width, height, area):
        padded = _up(int(width * scale)), _up(int(height * scale))
        if padded[0] * padded[1] <= area:
            return padded
    ratio = width / height
    fitted = _down(math.sqrt(area * ratio)), _down(math.sqrt(area / ratio))
    if fitted[0] >= width or fitted[1] >= height:
        return _down(width), _down(height)
    return fitted


def _scales(width: int, height: int, area: int) -> list[float]:
    """From the largest down to, not with, the smallest that can be needed."""
    largest, smallest = 1.0, 0.1
    if width * height > area:
        largest = math.sqrt(area / (width * height))
        # Below the scale at which sides rounded up by 63 would fill the area, and meant to be it:
        # the factor in the root would be 4. As it is, more scales are tried than need be.
        more = (SIDE - 1) * (width + height)
        left = area - (SIDE - 1) ** 2
        root = math.sqrt(more**2 + 2 * width * height * left)
        smallest = (root - more) / (2 * width * height)
    return [largest - (largest - smallest) * step / STEPS for step in range(STEPS)]


def _up(side: int) -> int:
    return -(-side // SIDE) * SIDE


def _down(side: float) -> int:
    return int(side // SIDE * SIDE)


def filling(image: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of the picture, scaled so that its shorter side is the shorter of the video's, or
    larger where that would leave a border."""
    short = min(width, height)
    scaled = _with_shorter_side(image.width, image.height, short)
    while scaled[0] < width or scaled[1] < height:
        short += 1
        scaled = _with_shorter_side(image.width, image.height, short)
    resized = image.convert("RGB").resize(scaled, Image.Resampling.BILINEAR)
    left, top = round((scaled[0] - width) / 2), round((scaled[1] - height) / 2)
    return resized.crop((left, top, left + width, top + height))


def _with_shorter_side(width: int, height: int, short: int) -> tuple[int, int]:
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def pixels(image: Image.Image) -> Tensor:
    """Float32 [1, 3, 1, rows, columns] of -1 to 1: a video of one frame."""
    array = torch.from_numpy(np.array(image.convert("RGB")))
    return (array.permute(2, 0, 1).float() / 255 * 2 - 1)[None, :, None]
