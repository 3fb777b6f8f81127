"""Read the portrait: turned upright, without transparency, and of a bearable size."""

from __future__ import annotations

import os
from pathlib import Path

MAX_PIXELS = 100_000_000  # OpenCV refuses larger files while reading their header
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from cvl_inside import InputError  # noqa: E402

Image = np.ndarray  # height x width x 3, blue-green-red bytes

BACKDROP = 255  # what shows through transparent pixels
SMALLEST_SIDE, LARGEST_SIDE = 64, 2160


def load(path: str) -> Image:
    """The picture as its author meant it to be seen."""
    data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    upright = _decode(data, cv2.IMREAD_COLOR)  # this mode obeys the EXIF orientation
    if upright is None:
        raise InputError(
            "The image could not be read.",
            hint=f"Use a JPEG, PNG or WebP picture of at most {MAX_PIXELS // 10**6} megapixels.",
            code="bad_image",
        )
    if min(upright.shape[:2]) < SMALLEST_SIDE:
        raise InputError(
            f"The image is too small: {upright.shape[1]}x{upright.shape[0]} pixels.",
            hint=f"Use a picture of at least {SMALLEST_SIDE} pixels on each side.",
            code="bad_image",
        )
    is_jpeg = data[:2].tobytes() == b"\xff\xd8"  # which has no transparency
    return upright if is_jpeg else _flatten(upright, _decode(data, cv2.IMREAD_UNCHANGED))


def _decode(data: np.ndarray, mode: int) -> Image | None:
    if not data.size:
        return None
    try:
        return cv2.imdecode(data, mode)
    except cv2.error:
        return None


def _flatten(upright: Image, stored: np.ndarray | None) -> Image:
    """`upright` with the transparency of the picture as it is stored, laid on the backdrop."""
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4:
        return upright
    stored = (stored / np.iinfo(stored.dtype).max).astype(np.float32)
    turns = [np.rot90(stored, quarter) for quarter in range(4)]
    fitting = [turn for turn in turns if turn.shape[:2] == upright.shape[:2]]
    same = min(fitting, key=lambda turn: float(np.abs(turn[..., :3] * 255 - upright).mean()))
    opacity = same[..., 3:]
    return np.rint(upright * opacity + BACKDROP * (1 - opacity)).astype(np.uint8)


def fit(picture: Image, size: str) -> tuple[Image, float]:
    """The picture at the video's size (even sides, as H.264 asks) and the scale applied."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    wanted = min(longest, LARGEST_SIDE) if size == "source" else int(size)
    scale = wanted / longest
    even = tuple(max(2, round(side * scale / 2) * 2) for side in (width, height))
    if even == (width, height):
        return picture, 1.0
    if abs(scale - 1) < 1 / longest:  # an odd side loses one row or column, not its sharpness
        return np.ascontiguousarray(picture[: even[1], : even[0]]), 1.0
    return cv2.resize(picture, even, interpolation=_filter(scale)), scale


def _filter(scale: float) -> int:
    return cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
