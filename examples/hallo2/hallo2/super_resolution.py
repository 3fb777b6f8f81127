"""A film whose face is drawn anew, and what is round it larger: chunk after chunk, as frames come.

for sharp in SuperResolution(...).frames(frames, Wish(fidelity=0.5, upscale=2)):
    ...  # as soon as its chunk is full
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import torch
from cvl_inside.faces.background import Background
from cvl_inside.faces.detector import separate_faces
from cvl_inside.faces.parser import FaceParser
from cvl_inside.faces.placing import (
    LEAST,
    SIDE,
    bytes_of,
    cut,
    eyes_apart,
    pixels_of,
    shown,
    upright,
    way_back,
)
from cvl_inside.faces.retina_face import RetinaFace
from hallo2.offload import Places
from hallo2.pasting import enlarged_way_back, is_grey, pasted, without_colour
from hallo2.restorer import FaceRestorer

CHUNK, OVERLAP = 16, 4
"""Frames whose faces see each other, and how many of them are those of the chunk before."""
SHORTEST = 512
"""Pixels: a smaller side is enlarged to it first."""
SEARCHED = 640
"""Pixels of the shorter side of what faces are looked for in, at least."""
SURE = 0.8
MARGIN = 40
"""Pixels round a tile that the enlarging network sees with it."""


@dataclass(frozen=True)
class Wish:
    """fidelity: 0, all of the face is drawn anew, to 1, as much like the frame as it can be;
    face_upsample: what enlarges the background enlarges the face too."""

    fidelity: float = 0.5
    upscale: int = 2
    face_upsample: bool = False


@dataclass(frozen=True)
class Sharp:
    """uint8 [rows, columns, 3]; restored: there was a face in it, which was drawn anew."""

    pixels: np.ndarray
    restored: bool


@dataclass(frozen=True)
class Seen:
    """A frame in RGB; size: columns and rows before it is upscaled; where its largest face is, and
    that, upright; None without one."""

    frame: np.ndarray
    size: tuple[int, int]
    there: np.ndarray | None = None
    face: np.ndarray | None = None


@dataclass(frozen=True)
class SuperResolution:
    """The networks, each of which is on the device while it computes."""

    detector: RetinaFace
    restorer: FaceRestorer
    parser: FaceParser
    background: Background | None
    places: Places

    def frames(self, frames: Iterable[np.ndarray], wish: Wish) -> Iterator[Sharp]:
        """Of uint8 [rows, columns, 3] in RGB, all of one size; as many come as go. What is kept is
        a chunk."""
        before: list[Seen] = []
        for fresh in batches(frames):
            seen = before + self._seen(fresh)
            drawn = self._drawn([one.face for one in seen if one.face is not None], wish.fidelity)
            done = sum(one.face is not None for one in before)
            yield from self._finished(seen[len(before) :], drawn[done:], wish)
            before = seen[-OVERLAP:]

    @torch.no_grad()
    def _seen(self, frames: list[np.ndarray]) -> list[Seen]:
        with self.places.there(self.detector):
            return [self._looked_at(frame) for frame in frames]

    def _looked_at(self, frame: np.ndarray) -> Seen:
        whole = not_small(frame)
        size = whole.shape[1], whole.shape[0]
        points = largest_face(self.detector, whole)
        there = None if points is None else upright(points)
        if there is None:
            return Seen(frame, size)
        return Seen(frame, size, there, cut(whole, there))

    @torch.no_grad()
    def _drawn(self, faces: list[np.ndarray], fidelity: float) -> list[np.ndarray]:
        if not faces:
            return []
        with self.places.there(self.restorer):
            pixels = torch.cat([pixels_of(face, self.restorer) for face in faces])
            return [bytes_of(face) for face in self.restorer(pixels, fidelity)]

    def _finished(self, seen: list[Seen], drawn: list[np.ndarray], wish: Wish) -> Iterator[Sharp]:
        """Frame by frame: what is large is not kept."""
        faces = iter(drawn)
        with ExitStack() as there:
            for net in (self.parser, *([self.background.net] if self.background else [])):
                there.enter_context(self.places.there(net))
            for one in seen:
                face = None if one.face is None else next(faces)
                yield Sharp(self._pasted(one, face, wish), face is not None)

    @torch.no_grad()
    def _pasted(self, seen: Seen, drawn: np.ndarray | None, wish: Wish) -> np.ndarray:
        whole = self._enlarged(seen.frame, wish.upscale)
        size = seen.size[0] * wish.upscale, seen.size[1] * wish.upscale
        whole = cv2.resize(whole, size, interpolation=cv2.INTER_LANCZOS4)
        if drawn is None or seen.there is None or seen.face is None:
            return whole
        if is_grey(seen.frame):
            drawn = without_colour(drawn, seen.face)
        back = way_back(seen.there, wish.upscale)
        if wish.face_upsample:
            drawn = self._enlarged(drawn, wish.upscale)
            back = enlarged_way_back(seen.there, wish.upscale)
        share = shown(self.parser, cv2.resize(drawn, (SIDE, SIDE)))
        share = cv2.resize(share, drawn.shape[1::-1])
        return pasted(whole, drawn, share, back, wish.upscale)

    def _enlarged(self, picture: np.ndarray, upscale: int) -> np.ndarray:
        """By the network, if there is one."""
        if self.background is None:
            return picture
        made = self.background.enlarged(picture)
        size = picture.shape[1] * upscale, picture.shape[0] * upscale
        return cv2.resize(made, size, interpolation=cv2.INTER_LANCZOS4)


def batches(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """As many as fill a chunk: what follows the first one begins with frames of the one before."""
    coming = iter(frames)
    count = CHUNK
    while batch := list(islice(coming, count)):
        yield batch
        count = CHUNK - OVERLAP


def not_small(frame: np.ndarray) -> np.ndarray:
    """With sides of SHORTEST at least."""
    scale = SHORTEST / min(frame.shape[:2])
    if scale <= 1:
        return frame
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


def largest_face(detector: RetinaFace, frame: np.ndarray) -> np.ndarray | None:
    """[5, 2] in pixels: eyes, nose and corners of the mouth; None where there is none, or where its
    eyes are nearly in one place."""
    rows, columns = frame.shape[:2]
    scale = max(1.0, SEARCHED / min(rows, columns))
    searched = cv2.resize(frame, (int(columns * scale), int(rows * scale)))
    found = separate_faces(detector, searched[..., ::-1], SURE)
    points = [points / scale for points in found.points]
    inside = np.clip(found.boxes / scale, 0, [columns, rows] * 2)
    areas = (inside[:, 2:] - inside[:, :2]).prod(1)
    faces = [i for i in range(len(points)) if eyes_apart(points[i]) >= LEAST]
    return points[max(faces, key=lambda i: float(areas[i]))] if faces else None
