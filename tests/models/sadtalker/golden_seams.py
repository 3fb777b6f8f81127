"""The golden numbers of seams: what upstream pastes back into portraits."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import seams
import upstream
from PIL import Image
from standing_in import stand_in

FILES = ("src/utils/paste_pic.py", "src/utils/croper.py")


def pasted(checkout: Path) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        files = [
            f"{hashlib.sha256((checkout / name).read_bytes()).hexdigest()}  {name}"
            for name in FILES
        ]
        numbers: dict[str, Any] = {"commit": upstream.COMMIT, "files": files}
        for name, picture in seams.portraits().items():
            points = numbers[f"{name}: landmarks"] = seams.landmarks(picture)
            for mode in seams.PASTING:
                box = seams.made(picture, points, mode)[1]
                frame = pasted_upstream(picture, points, mode)
                numbers[f"{name}: {mode}"] = frame[::8, ::8]
                numbers[f"{name}: {mode} edge"] = seams.edge(frame, box)[0][::4]
                numbers[f"{name}: {mode} step"] = seams.step(frame, box)
        return numbers

    return make


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
        return paste_pic(path, seams.rendered(cut), (size, crop, quad), "ext" in mode)


def paste_pic(picture: Path, part: np.ndarray, where: Any, extended: bool) -> np.ndarray:
    """Upstream's function; the video that it reads has one frame, what it writes is kept."""
    stand_in("src.utils.videoio", save_video_with_watermark=lambda *_, **__: None)
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
