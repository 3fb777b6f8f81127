"""The face: is there one that can speak?"""

from typing import Any, List, Tuple

from ..predictor import Context, InputError

SEARCHED = 1280
"""Pixels of the longer side of the copy that faces are searched in."""
LEAST = 24
NEIGHBOURS = 5
Box = Tuple[int, int, int, int]


def check_face(ctx: Context, image: Any) -> None:
    """Of a Pillow image in RGB, before weights are loaded. Raises InputError when no face is found;
    warns of several, since the model makes the one speak that it likes."""
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
