"""Draws the faces of a frame anew, and puts them back where they were; what is round them too."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from sadtalker.background import Background
from sadtalker.face_detector import RetinaFace, five_points_of
from sadtalker.parser import FaceParser
from sadtalker.restorer import Restorer

SIDE = 512  # pixels of a face that is drawn
# Where the eyes, the nose and the corners of the mouth are in it.
PLACES = np.array(
    [[192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935],
     [201.26117, 371.41043], [313.08905, 371.15118]]
)  # fmt: skip
OUTSIDE = (132, 133, 135)
LEAST = 5  # pixels between the eyes of a face that is drawn anew
LARGEST = 2048  # pixels of a frame that is enlarged
NOT_SKIN = (0, 14, 16, 17, 18)  # classes: background, and what lies over or under the face
BLUR = (101, 101), 11
EDGE = 10  # pixels of a drawn face that are never shown


@dataclass(frozen=True)
class Enhancer:
    """Three nets, on one device; with `background`, a fourth enlarges the frame."""

    detector: RetinaFace
    restorer: Restorer
    parser: FaceParser
    background: Background | None = None

    @torch.inference_mode()
    def enhance(self, frame: np.ndarray) -> np.ndarray:
        """(H, W, 3) red-green-blue bytes -> twice as large, or as large where a side has more than
        LARGEST pixels."""
        factor = 1 if max(frame.shape) > LARGEST else 2
        size = frame.shape[1] * factor, frame.shape[0] * factor
        whole = self.background.enlarged(frame) if self.background else frame
        made = cv2.resize(whole, size, interpolation=cv2.INTER_LANCZOS4)
        for points in five_points_of(self.detector, frame[..., ::-1]):
            if np.hypot(*(points[0] - points[1])) < LEAST:
                continue
            there = cv2.estimateAffinePartial2D(points, PLACES, method=cv2.LMEDS)[0]
            if there is None:  # no face has its eyes and mouth all in one place
                continue
            face = cv2.warpAffine(frame, there, (SIDE, SIDE), borderValue=OUTSIDE)
            drawn = self._drawn(face)
            made = pasted(made, drawn, self._shown(drawn), there, factor)
        return made

    def _drawn(self, face: np.ndarray) -> np.ndarray:
        """(SIDE, SIDE, 3) bytes -> the same."""
        made = self.restorer(self._pixels(face))[0].clamp(-1, 1)
        whole = ((made + 1) / 2 * 255).round().to(torch.uint8)
        return whole.permute(1, 2, 0).cpu().numpy()

    def _shown(self, face: np.ndarray) -> np.ndarray:
        """(SIDE, SIDE) in 0..1: how much of it is put back."""
        classes = self.parser(self._pixels(face))[0].argmax(0).cpu().numpy()
        shown = np.where(np.isin(classes, NOT_SKIN), 0.0, 255.0)
        for _ in range(2):
            shown = cv2.GaussianBlur(shown, *BLUR)
        inner = np.zeros_like(shown)
        inner[EDGE:-EDGE, EDGE:-EDGE] = shown[EDGE:-EDGE, EDGE:-EDGE]
        return inner / 255

    def _pixels(self, face: np.ndarray) -> torch.Tensor:
        device = next(self.restorer.parameters()).device
        pixels = torch.from_numpy(face).permute(2, 0, 1)[None].to(device).float()
        return pixels / 127.5 - 1


def pasted(
    frame: np.ndarray, face: np.ndarray, shown: np.ndarray, there: np.ndarray, factor: int
) -> np.ndarray:
    """there: (2, 3), from the frame before it was enlarged by `factor` to the face."""
    back = cv2.invertAffineTransform(there) * factor
    if factor > 1:
        back[:, 2] += 0.5 * factor  # the middle of a pixel
    size = frame.shape[1], frame.shape[0]
    face = cv2.warpAffine(face, back, size)
    share = cv2.warpAffine(shown, back, size)[..., None]
    return (share * face + (1 - share) * frame).astype(np.uint8)
