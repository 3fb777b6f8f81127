"""Reads videos whose movement is followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from cvl_inside import InputError


class Film:
    """The frames of a video, (H, W, 3) red-green-blue bytes, one at a time: none is kept."""

    def __init__(self, path: str, option: str) -> None:
        self._path, self._option = str(Path(path).resolve()), option

    def __iter__(self) -> Iterator[np.ndarray]:
        stream = cv2.VideoCapture(self._path)
        try:
            found, frame = stream.read()
            if not found:
                raise InputError(
                    f"the video of --{self._option} has no frame that can be decoded",
                    "use an MP4 or WebM file",
                    "bad_video",
                )
            while found:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                found, frame = stream.read()
        finally:
            stream.release()
