"""Portraits with a rendered part pasted back in each of the five modes, and the step over its edge.

The part is the portrait's own, brighter and turned by a few degrees, as if a net had rendered it.
To look at them, a row for each portrait:

    python seams.py sheet.png
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
import sadtalker_small as small
from PIL import Image
from sadtalker.framing import MODES, Box, Framing, around_face, whole
from sadtalker.options import Options
from sadtalker.reading import Face
from sadtalker.talker import finished

SIDE = 256
TILE = 320
BRIGHTER, TURNED = 1.12, 3.0
# Of the box that a cascade finds: the middles of the eyes, and the corners of the mouth.
SPOTS = ((36, 42, (0.33, 0.41)), (42, 48, (0.67, 0.41)), (48, 54, (0.37, 0.77)),
         (54, 68, (0.63, 0.77)))  # fmt: skip
PASTING = ("full", "extfull")
SAMPLES = small.EXAMPLE.parent / "portrait" / "samples"


def portraits() -> dict[str, np.ndarray]:
    """Of two people: near and far, in the middle and at an edge. Red-green-blue bytes."""
    officer, astronaut = (np.array(Image.open(SAMPLES / f"{name}.jpg").convert("RGB"))
                  for name in ("portrait", "smiling"))  # fmt: skip
    height, width = officer.shape[:2]
    wide = np.full((height, width * 2, 3), 90, np.uint8)
    wide[:, width // 2 : width // 2 + width] = officer[:, ::-1]
    return {
        "as it is": officer,
        "another person": astronaut,
        "mirrored in a wide picture": wide,
        "far away": cv2.resize(officer, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
        "at the left edge": astronaut[:, astronaut.shape[1] // 5 :],
    }


def landmarks(picture: np.ndarray) -> np.ndarray:
    """(68, 2), roughly, of the largest face that a cascade finds."""
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")
    found = cascade.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 1.1, 5)
    x, y, width, height = max(found, key=lambda box: box[2])
    points = np.zeros((68, 2), np.float32)
    for first, last, (across, down) in SPOTS:
        points[first:last] = x + across * width, y + down * height
    return points


def rendered(part: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, 3): what the nets would make of it."""
    scaled = cv2.resize(part, (SIDE, SIDE))
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), TURNED, 1)
    turned = cv2.warpAffine(scaled, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    return np.clip(turned * BRIGHTER, 0, 255).astype(np.uint8)


def made(picture: np.ndarray, points: np.ndarray, mode: str) -> tuple[np.ndarray, Box]:
    """Ours: the frame, and where in it the part is."""
    framing: Framing = (
        whole(picture) if mode == "resize" else around_face(picture, points, "ext" in mode)
    )
    face = Face(framing.cut(picture), np.zeros(73), framing)
    frame = finished(rendered(face.part), picture, face, Options(size=SIDE, preprocess=mode))
    return frame, framing.box_in(picture.shape[1], picture.shape[0])


def edge(frame: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The pixels inside and outside of the sides of the box that are in the frame, (n, 3) each."""
    left, top, right, bottom = box
    height, width = frame.shape[:2]
    columns = [(x, x - 1) for x in (left, right) if 0 < x < width]
    lines = [(y, y - 1) for y in (top, bottom) if 0 < y < height]
    sides = [
        np.concatenate(
            [frame[top:bottom, pair[side]] for pair in columns]
            + [frame[pair[side], left:right] for pair in lines]
        )
        for side in (0, 1)
    ]
    return sides[0], sides[1]


def step(frame: np.ndarray, box: Box) -> float:
    """Mean absolute difference of neighbours over the edge of the box, of 255."""
    sides = edge(frame.astype(float), box)
    return float(np.abs(sides[0] - sides[1]).mean())


def tile(picture: np.ndarray) -> np.ndarray:
    scale = TILE / max(picture.shape[:2])
    small_one = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    made = np.full((TILE, TILE, 3), 255, np.uint8)
    made[: small_one.shape[0], : small_one.shape[1]] = small_one[:TILE, :TILE]
    return made


def main() -> None:
    rows = []
    for picture in portraits().values():
        points = landmarks(picture)
        rows.append(np.concatenate([tile(made(picture, points, mode)[0]) for mode in MODES], 1))
    Image.fromarray(np.concatenate(rows)).save(sys.argv[1])


if __name__ == "__main__":
    main()
