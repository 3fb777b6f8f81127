"""The portrait: is it one that can speak?"""

from typing import Any, List, Tuple

from ..predictor import Context, InputError

SEARCHED = 1280
"""Pixels of the longer side of the copy that faces are searched in."""
LEAST = 24
NEIGHBOURS = 5
SMALLEST = 64
"""Pixels of the shorter side of a portrait."""
THINNEST = 4
"""Times its shorter side, the longer one of a portrait that is shown whole."""
Box = Tuple[int, int, int, int]


def check_portrait(ctx: Context, image: Any, *, face: bool, whole: bool) -> None:
    """Of a Pillow image in RGB, before weights are loaded. face: it must show one. whole: all of it
    becomes the video, not only what is round the face. Raises InputError."""
    shown, sides = f"{image.width}x{image.height} pixels", sorted(image.size)
    if sides[0] < SMALLEST:
        raise InputError(
            f"the image is too small: {shown}",
            f"use a picture of at least {SMALLEST} pixels on each side",
            "bad_image",
        )
    if whole and sides[1] > THINNEST * sides[0]:
        raise InputError(
            f"the image is too long and thin: {shown}",
            f"crop it: its longer side may be {THINNEST} times its shorter",
            "bad_image",
        )
    if face:
        _check_face(ctx, image)


def _check_face(ctx: Context, image: Any) -> None:
    """Raises InputError when no face is found; warns of several, since the model makes the one
    speak that it likes."""
    found = find_faces(image)
    if not found:
        raise InputError(
            "no face was found in the image",
            "use a picture of somebody who looks at the camera; a drawing or a mask that the model"
            " can animate and the search does not know is let through by --face any",
            "no_face",
        )
    if len(found) > 1:
        places = "; ".join(",".join(map(str, box)) for box in found)
        ctx.warning(
            f"{len(found)} faces were found ({places}), and the model chooses who speaks: crop the"
            " image to one"
        )


def find_faces(image: Any) -> List[Box]:
    """(x, y, width, height) of each in pixels of the image, from left to right."""
    import cv2
    import numpy as np

    grey = np.asarray(image.convert("L"))
    scale = min(1.0, SEARCHED / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cascade = cv2.CascadeClassifier(
        cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"  # type: ignore[attr-defined]
    )
    least = max(LEAST, min(small.shape) // 12)
    boxes = cascade.detectMultiScale(
        cv2.equalizeHist(small), 1.1, NEIGHBOURS, minSize=(least, least)
    )
    return sorted(tuple(round(float(side) / scale) for side in box) for box in boxes)
