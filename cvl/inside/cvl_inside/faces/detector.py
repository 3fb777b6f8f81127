"""Finds faces in pictures, each once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from .retina_face import SIZES, STEPS, RetinaFace

MEAN = (104.0, 117.0, 123.0)  # of the three channels, in the order they are given
VARIANCES = (0.1, 0.2)
SURE = 0.97
OVERLAP = 0.4
LARGEST = 2048  # pixels; a larger picture is shrunk first


def anchors(height: int, width: int) -> np.ndarray:
    """(N, 4): centre and size, in parts of the picture, of all that RetinaFace looks at."""
    found = []
    for step, sizes in zip(STEPS, SIZES):
        rows, columns = -(-height // step), -(-width // step)
        y, x, size = np.meshgrid(np.arange(rows), np.arange(columns), sizes, indexing="ij")
        places = [(x + 0.5) * step / width, (y + 0.5) * step / height, size / width, size / height]
        found.append(np.stack(places, 3).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)


def decoded(boxes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 4) relative to anchors (N, 4) -> left, top, right and bottom in parts of the picture."""
    centre = places[:, :2] + boxes[:, :2] * VARIANCES[0] * places[:, 2:]
    size = places[:, 2:] * np.exp(boxes[:, 2:] * VARIANCES[1])
    return np.concatenate([centre - size / 2, centre + size / 2], 1)


def pointed(landmarks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 10) relative to anchors (N, 4) -> (N, 5, 2): eyes, nose and corners of the mouth, in
    parts of the picture."""
    offsets = landmarks.reshape(-1, 5, 2) * VARIANCES[0] * places[:, None, 2:]
    return places[:, None, :2] + offsets


@dataclass(frozen=True)
class Faces:
    """What the detector is sure of, the surest first: (N, 4) boxes and (N, 5, 2) points."""

    boxes: np.ndarray
    points: np.ndarray


def find_faces(net: RetinaFace, picture: np.ndarray, sure: float = SURE) -> Faces:
    """In (H, W, 3) bytes, in parts of its sides; the same face several times."""
    height, width = picture.shape[:2]
    shrunk = picture
    if max(height, width) > LARGEST:
        scale = LARGEST / max(height, width)
        shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    device = next(net.parameters()).device
    pixels = torch.from_numpy(shrunk.astype(np.float32) - np.array(MEAN, np.float32)).to(device)
    found = net(pixels.permute(2, 0, 1)[None])
    scores = found.scores[0].cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > sure]
    places = anchors(*shrunk.shape[:2])[order]
    boxes, landmarks = (tensor[0].cpu().numpy()[order] for tensor in (found.boxes, found.landmarks))
    return Faces(decoded(boxes, places), pointed(landmarks, places))


def find_face(net: RetinaFace, picture: np.ndarray) -> tuple[int, int, int, int] | None:
    """The surest face of (H, W, 3) bytes: left, top, right, bottom in pixels, within the picture.

    Which order the channels have is the caller's business: see the README.
    """
    height, width = picture.shape[:2]
    boxes = find_faces(net, picture).boxes
    if not len(boxes):
        return None
    left, top, right, bottom = (boxes[0] * (width, height, width, height)).astype(int)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def five_points_of(net: RetinaFace, picture: np.ndarray) -> np.ndarray:
    """(N, 5, 2) in pixels, of all faces of (H, W, 3) bytes, each once."""
    return separate_faces(net, picture).points


def separate_faces(net: RetinaFace, picture: np.ndarray, sure: float = SURE) -> Faces:
    """Of (H, W, 3) bytes, each once, in pixels."""
    height, width = picture.shape[:2]
    faces = find_faces(net, picture, sure)
    boxes = faces.boxes * (width, height, width, height)
    alone = separate(boxes)
    return Faces(boxes[alone], faces.points[alone] * (width, height))


def separate(boxes: np.ndarray) -> list[int]:
    """Which of (N, 4) boxes in pixels, the surest first, no box before them covers by more than
    OVERLAP of both."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept, left = [], np.arange(len(boxes))
    while len(left):
        first, left = int(left[0]), left[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[left, :2])
        high = np.minimum(boxes[first, 2:], boxes[left, 2:])
        common = np.maximum(high - low, 0).prod(1)
        left = left[common / (area[first] + area[left] - common) <= OVERLAP]
    return kept
