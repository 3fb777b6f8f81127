"""Make the numbers of faces that the tests compare with, by running upstream's code, and that of
InsightFace which it calls.

    python face_golden.py --upstream PATH --insightface PATH --output golden

The first is a checkout of https://github.com/fudan-generative-vision/hallo2 at `COMMIT`, the second
the unpacked wheel of insightface 2.1. Needs torch, opencv, Pillow, einops, onnx, onnxruntime and
scikit-image.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import face_case as case
import numpy as np
import torch
from PIL import Image

COMMIT = "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"
FILES = ("hallo/datasets/image_processor.py", "hallo/utils/util.py")
READERS = ("scrfd.py", "landmark.py", "arcface_onnx.py")
ABSENT = {
    "av": (), "mediapipe": (), "moviepy": (), "torchvision": ("transforms",), "insightface": (),
    "moviepy.editor": ("AudioFileClip", "VideoClip", "VideoFileClip", "concatenate_videoclips"),
    "insightface.app": ("FaceAnalysis",),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("upstream", "insightface", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    readers = chosen.insightface / "insightface" / "model_zoo"
    hashed = [*(chosen.upstream / f for f in FILES), *(readers / f for f in READERS)]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in hashed}
    origin = np.array(json.dumps({"commit": COMMIT, "insightface": "2.1", "sha256": hashes}))
    for name, made in (("regions", regions(chosen.upstream)), ("faces", faces(chosen.insightface))):
        path = chosen.output / f"face_{name}.npz"
        np.savez_compressed(path, origin=origin, **made)
        assert path.stat().st_size < 200_000, path.stat().st_size


def regions(checkout: Path) -> dict[str, np.ndarray]:
    """Of each sitting: pixels of the portrait, where the face is, and the twelve masks."""
    for module, members in ABSENT.items():
        sys.modules[module] = types.ModuleType(module)
        for member in members:
            setattr(sys.modules[module], member, None)
    sys.modules["torchvision"].transforms = transforms()  # type: ignore[attr-defined]
    sys.path.insert(0, str(checkout))
    util = importlib.import_module("hallo.utils.util")
    images = importlib.import_module("hallo.datasets.image_processor")
    made: dict[str, np.ndarray] = {}
    for name, sitting in case.SITTINGS.items():
        util.get_landmark = functools.partial(landmarks, sitting)
        images.FaceAnalysis = lambda **_: Found()
        processor = images.ImageProcessor((sitting.side, sitting.side), "")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            Image.fromarray(case.picture(name, sitting.pixels, sitting.pixels)).save(path)
            pixels, located, _, *masks = processor.preprocess(str(path), folder, sitting.expand)
        made[f"{name} pixels"] = pixels.numpy()[:, ::16, ::16]
        made[f"{name} located"] = np.packbits(located.numpy() > 0)
        made[f"{name} rows"] = located.numpy()[:, :, sitting.side // 4]
        for region, levels in zip(("pose", "face", "lip"), masks, strict=True):
            made[f"{name} {region}"] = torch.cat([m.flatten() for m in levels]).numpy()
    return made


def landmarks(sitting: case.Sitting, _file: str) -> tuple[np.ndarray, int, int]:
    """All in the middle of the face, but for those that its box and that of the lips are of; and
    the sides of the picture."""
    points = np.tile(np.array(sitting.face).reshape(2, 2).mean(0), (478, 1))
    for places, box in ((case.SILHOUETTE, sitting.face), (case.LIPS, sitting.lips)):
        points[list(places)] = np.array(box).reshape(2, 2).mean(0)
        points[list(places)[:2]] = np.array(box).reshape(2, 2)
    return points, sitting.pixels, sitting.pixels


class Found:
    """In the place of InsightFace: one face."""

    def prepare(self, **_: Any) -> None:
        pass

    def get(self, _picture: np.ndarray) -> list[dict[str, Any]]:
        return [{"bbox": [0, 0, 1, 1], "embedding": np.zeros(512, np.float32)}]


def transforms() -> types.ModuleType:
    """What upstream uses of torchvision: pictures of Pillow are resized by Pillow."""
    made = types.ModuleType("torchvision.transforms")

    def compose(steps: list[Any]) -> Any:
        def run(value: Any) -> Any:
            for step in steps:
                value = step(value)
            return value

        return run

    def to_tensor() -> Any:
        def run(image: Image.Image) -> torch.Tensor:
            array = np.asarray(image)
            array = array[..., None] if array.ndim == 2 else array
            return torch.from_numpy(array.transpose(2, 0, 1).copy()).float().div(255)

        return run

    made.Compose, made.ToTensor = compose, to_tensor  # type: ignore[attr-defined]
    made.Resize = lambda size: lambda image: image.resize(size[::-1], Image.Resampling.BILINEAR)  # type: ignore[attr-defined]
    made.Normalize = lambda mean, std: lambda tensor: (tensor - mean[0]) / std[0]  # type: ignore[attr-defined]
    return made


def faces(checkout: Path) -> dict[str, np.ndarray]:
    """Of two pictures: boxes and points of all faces, landmarks and identity of the largest."""
    for package in (
        "insightface",
        "insightface.model_zoo",
        "insightface.utils",
        "insightface.data",
    ):
        module = sys.modules[package] = types.ModuleType(package)
        module.__path__ = [str(checkout / package.replace(".", "/"))]
    sys.modules["insightface.data"].get_object = None  # type: ignore[attr-defined]
    zoo = "insightface.model_zoo"
    with tempfile.TemporaryDirectory() as folder:
        case.networks(Path(folder))
        files = (f"{folder}/{name}.onnx" for name in ("scrfd_10g_bnkps", "2d106det", "glintr100"))
        detector = importlib.import_module(f"{zoo}.scrfd").SCRFD(next(files))
        landmark = importlib.import_module(f"{zoo}.landmark").Landmark(next(files))
        identity = importlib.import_module(f"{zoo}.arcface_onnx").ArcFaceONNX(next(files))
        detector.prepare(-1, input_size=(640, 640), det_thresh=0.5, nms_thresh=0.4)
        made = {}
        for name, rows, columns in case.PICTURES:
            picture = np.ascontiguousarray(case.picture(name, rows, columns)[..., ::-1])
            boxes, points = detector.detect(picture, max_num=0)
            areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            largest = int(areas.argmax())
            face = Chosen(boxes[largest, :4], points[largest])
            made[f"{name} boxes"], made[f"{name} points"] = boxes[:, :4], points
            made[f"{name} landmarks"] = landmark.get(picture, face)
            made[f"{name} embedding"] = identity.get(picture, face)
    return made


class Chosen(dict):  # type: ignore[type-arg]
    """In the place of InsightFace's face."""

    def __init__(self, bbox: np.ndarray, kps: np.ndarray) -> None:
        self.bbox, self.kps = bbox, kps
        self.embedding: Any = None


if __name__ == "__main__":
    main()
