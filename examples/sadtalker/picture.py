"""Reads the portrait: turned upright, without transparency, as 8 bits of red, green and blue."""

from __future__ import annotations

import os
from pathlib import Path

MAX_PIXELS = 100_000_000  # OpenCV refuses larger files while reading their header
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from cvl_inside import InputError  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402

SMALLEST_SIDE = 64
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def load(path: str) -> np.ndarray:
    """(H, W, 3) bytes, as the picture's author meant it to be seen."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with Image.open(path) as opened:
            made = _plain(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            "The image could not be read.",
            hint=f"Use a JPEG, PNG or WebP picture of at most {MAX_PIXELS // 10**6} megapixels.",
            code="bad_image",
        ) from error
    if min(made.shape[:2]) < SMALLEST_SIDE:
        raise InputError(
            f"The image is too small: {made.shape[1]}x{made.shape[0]} pixels.",
            hint=f"Use a picture of at least {SMALLEST_SIDE} pixels on each side.",
            code="bad_image",
        )
    return made


def _plain(picture: Image.Image) -> np.ndarray:
    """Transparent pixels show white; of 16 bits the upper 8 are kept."""
    if picture.mode in DEEP:
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


class Video:
    """The frames of a video that is followed, one at a time, so that none is kept."""

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = str(Path(path).resolve()), name

    def __iter__(self):
        stream = cv2.VideoCapture(self.path)
        try:
            found, frame = stream.read()
            if not found:
                raise InputError(
                    f"The video of --{self.name} has no frame that can be decoded.",
                    hint="Use an MP4 or WebM file.",
                    code="bad_video",
                )
            while found:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                found, frame = stream.read()
        finally:
            stream.release()
