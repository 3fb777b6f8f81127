"""Pastes rendered parts back into portraits, as we do and as upstream does, and looks at the seams.

    python seams.py --upstream SADTALKER --facexlib FACEXLIB --output sheet.png PORTRAIT...

The part is the portrait's own, brighter and turned by a few degrees, as if a net had rendered it.
Fails where the step over the edge of what was pasted is larger than with upstream's. The sheet has
a row for each portrait: the five modes of ours, then upstream's two that paste.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import sadtalker_small  # noqa: F401  (where the modules are)
import upstream
from PIL import Image
from sadtalker.framing import MODES, Box, Framing, around_face, whole
from sadtalker.options import Options
from sadtalker.reading import Face
from sadtalker.talker import finished

SIDE = 256
TILE = 320
BRIGHTER, TURNED = 1.12, 3.0
# Of the box that a cascade finds: the middles of the eyes, and the corners of the mouth.
SPOTS = ((36, 42, (0.33, 0.41)), (42, 48, (0.67, 0.41)), (48, 54, (0.37, 0.77)))
LAST = (54, 68, (0.63, 0.77))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--facexlib", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("portraits", type=Path, nargs="+")
    given = parser.parse_args()
    upstream.make_ready(given.upstream, given.facexlib)
    rows, worse = [], 0
    for path in given.portraits:
        picture = np.array(Image.open(path).convert("RGB"))
        points = landmarks(picture)
        tiles = [made(picture, points, mode)[0] for mode in MODES]
        for mode in ("full", "extfull"):
            mine, box = made(picture, points, mode)
            theirs = pasted_upstream(picture, points, mode)
            tiles.append(theirs)
            steps = step(mine, box), step(theirs, box), step(picture, box)
            worse += steps[0] > steps[1] + 0.01
            print(f"{path.name} {mode}: ours {steps[0]:.2f}, upstream {steps[1]:.2f},"
                  f" before {steps[2]:.2f}, frames apart {apart(mine, theirs)}")  # fmt: skip
        rows.append(np.concatenate([tile(picture) for picture in tiles], 1))
    Image.fromarray(np.concatenate(rows)).save(given.output)
    return int(worse > 0)


def landmarks(picture: np.ndarray) -> np.ndarray:
    """(68, 2), roughly, of the largest face that a cascade finds."""
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")
    found = cascade.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 1.1, 5)
    x, y, width, height = max(found, key=lambda box: box[2])
    points = np.zeros((68, 2), np.float32)
    for first, last, (across, down) in (*SPOTS, LAST):
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


def pasted_upstream(picture: np.ndarray, points: np.ndarray, mode: str) -> np.ndarray:
    from src.utils.croper import Preprocesser

    cutter = Preprocesser.__new__(Preprocesser)
    size, crop, quad = cutter.align_face(Image.fromarray(picture), points, 512)
    left, top, right, bottom = crop
    cut = cv2.resize(picture, tuple(size))[top:bottom, left:right]
    if "ext" not in mode:
        cut = cut[int(quad[1]) : int(quad[3]), int(quad[0]) : int(quad[2])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.fromarray(picture).save(path)
        return paste_pic(path, rendered(cut), (size, crop, quad), "ext" in mode)


def paste_pic(picture: Path, part: np.ndarray, where: Any, extended: bool) -> np.ndarray:
    """Upstream's function; the video that it reads has one frame, what it writes is kept."""
    upstream.stand_in("src.utils.videoio", save_video_with_watermark=lambda *_, **__: None)
    from src.utils import paste_pic as module

    kept: list[np.ndarray] = []
    frames = iter([(True, part[..., ::-1]), (False, None)])
    reader = SimpleNamespace(get=lambda _: 25, read=lambda: next(frames), release=lambda: None)
    writer = SimpleNamespace(write=kept.append, release=lambda: None)
    names = ("imread", "resize", "seamlessClone", "NORMAL_CLONE", "CAP_PROP_FPS")
    module.cv2 = SimpleNamespace(
        VideoCapture=lambda _: reader, VideoWriter=lambda *_: writer,
        VideoWriter_fourcc=lambda *_: 0, **{name: getattr(cv2, name) for name in names},
    )  # fmt: skip
    module.os = SimpleNamespace(path=module.os.path, remove=lambda _: None)
    module.paste_pic("frames.mp4", str(picture), where, "", "", extended)
    return kept[0][..., ::-1]


def step(frame: np.ndarray, box: Box) -> float:
    """Mean absolute difference of neighbours over the edges of the box that are in the frame."""
    left, top, right, bottom = box
    values = frame.astype(float)
    columns = [values[top:bottom, x - 1] - values[top:bottom, x] for x in (left, right)
               if 0 < x < frame.shape[1]]  # fmt: skip
    lines = [values[y - 1, left:right] - values[y, left:right] for y in (top, bottom)
             if 0 < y < frame.shape[0]]  # fmt: skip
    return float(np.mean([np.abs(edge).mean() for edge in (*columns, *lines)]))


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


def tile(picture: np.ndarray) -> np.ndarray:
    scale = TILE / max(picture.shape[:2])
    small_one = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    made = np.full((TILE, TILE, 3), 255, np.uint8)
    made[: small_one.shape[0], : small_one.shape[1]] = small_one[:TILE, :TILE]
    return made


if __name__ == "__main__":
    raise SystemExit(main())
