"""Finds faces: RetinaFace with a ResNet-50, named as facexlib's weights name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sadtalker.resnet import STAGES, ResNet50

Tensor = torch.Tensor
MEAN = (104.0, 117.0, 123.0)  # of the three channels, in the order they are given
STEPS = (8, 16, 32)  # pixels between two places that are looked at, per level
SIZES = ((16, 32), (64, 128), (256, 512))  # pixels of the faces that are looked for
VARIANCES = (0.1, 0.2)
SURE = 0.97
OVERLAP = 0.4
LARGEST = 2048  # pixels; a larger picture is shrunk first


class Found(NamedTuple):
    """Of every place and size: (B, N, 4) boxes relative to it, (B, N) scores, (B, N, 10)."""

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


def normed(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Pyramid(nn.Module):
    """Brings three levels of features together, from the coarsest to the finest."""

    def __init__(self, inputs: list[int], outputs: int) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (normed(n, outputs, 1) for n in inputs)
        self.merge1, self.merge2 = normed(outputs, outputs), normed(outputs, outputs)

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        nets = (self.output1, self.output2, self.output3)
        fine, middle, coarse = (torch.relu(net(x)) for net, x in zip(nets, levels))
        middle = middle + functional.interpolate(coarse, size=middle.shape[2:])
        middle = torch.relu(self.merge2(middle))
        fine = fine + functional.interpolate(middle, size=fine.shape[2:])
        return torch.relu(self.merge1(fine)), middle, coarse


class Context(nn.Module):
    """Three fields of view side by side, made of 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.conv3X3 = normed(channels, half)
        self.conv5X5_1, self.conv5X5_2 = normed(channels, quarter), normed(quarter, quarter)
        self.conv7X7_2, self.conv7x7_3 = normed(quarter, quarter), normed(quarter, quarter)

    def forward(self, x: Tensor) -> Tensor:
        wider = torch.relu(self.conv5X5_1(x))
        widest = self.conv7x7_3(torch.relu(self.conv7X7_2(wider)))
        return torch.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(wider), widest], 1))


class Head(nn.Module):
    """(B, C, h, w) -> (B, h * w * sizes, numbers)."""

    def __init__(self, channels: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.conv1x1 = nn.Conv2d(channels, len(SIZES[0]) * numbers, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.numbers)


class RetinaFace(nn.Module):
    """(B, 3, H, W) less MEAN -> Found."""

    def __init__(
        self, width: int = 64, channels: int = 256, stages: tuple[int, ...] = STAGES
    ) -> None:
        super().__init__()
        self.body = ResNet50(width, stages)
        self.fpn = Pyramid(self.body.channels[1:], channels)
        self.ssh1, self.ssh2, self.ssh3 = (Context(channels) for _ in STEPS)
        self.ClassHead, self.BboxHead, self.LandmarkHead = (
            nn.ModuleList(Head(channels, numbers) for _ in STEPS) for numbers in (2, 4, 10)
        )

    def forward(self, pictures: Tensor) -> Found:
        levels = self.fpn(self.body(pictures)[1:])
        levels = [net(x) for net, x in zip((self.ssh1, self.ssh2, self.ssh3), levels)]
        scores, boxes, landmarks = (
            torch.cat([head(x) for head, x in zip(heads, levels)], 1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        return Found(boxes, functional.softmax(scores, 2)[:, :, 1], landmarks)


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
    """What the detector is sure of, the surest first: (N, 4) boxes and (N, 5, 2) points, in parts
    of the picture."""

    boxes: np.ndarray
    points: np.ndarray


def find_faces(net: RetinaFace, picture: np.ndarray) -> Faces:
    """In (H, W, 3) bytes; the same face several times."""
    height, width = picture.shape[:2]
    shrunk = picture
    if max(height, width) > LARGEST:
        scale = LARGEST / max(height, width)
        shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    device = next(net.parameters()).device
    pixels = torch.from_numpy(shrunk.astype(np.float32) - np.float32(MEAN)).to(device)
    found = net(pixels.permute(2, 0, 1)[None])
    scores = found.scores[0].cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > SURE]
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
    height, width = picture.shape[:2]
    faces = find_faces(net, picture)
    alone = separate(faces.boxes * (width, height, width, height))
    return faces.points[alone] * (width, height)


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
