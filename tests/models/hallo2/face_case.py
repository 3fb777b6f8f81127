"""The faces, pictures and small networks that upstream's numbers and ours are compared on.

Networks are ONNX files whose numbers depend on all that they are shown: means of patches, weighted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
SUPPORT = HERE.parents[1] / "support"
sys.path[:0] = [str(HERE.parents[2] / "examples" / "hallo2"), str(HERE.parent), str(SUPPORT)]

from checkpoints.onnx_files import Node, write  # noqa: E402
from filling import filled  # noqa: E402

SILHOUETTE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375,
)  # fmt: skip
"""Of the 478 landmarks of MediaPipe: the ones that upstream makes its masks of."""


@dataclass(frozen=True)
class Sitting:
    """A square picture, boxes of the face and the lips in it, and the frames that are asked for."""

    pixels: int
    face: tuple[float, float, float, float]
    lips: tuple[float, float, float, float]
    side: int
    expand: float = 1.2


SITTINGS = {
    "middle": Sitting(400, (100.4, 80.6, 290.2, 320.9), (160.1, 240.3, 230.8, 275.5), 256),
    "edge": Sitting(360, (3.2, 90.0, 150.7, 345.6), (40.0, 255.5, 110.0, 300.0), 512, 1.3),
    "small": Sitting(96, (20.0, 22.5, 70.5, 80.0), (36.0, 60.0, 55.0, 69.0), 256, 1.0),
}


PICTURES = (("wide", 300, 420), ("tall", 700, 512))


def picture(name: str, rows: int, columns: int) -> np.ndarray:
    """uint8 [rows, columns, 3] in RGB, smooth and loud."""
    coarse = filled(f"picture {name}", (9, 9, 3), 60).numpy() + 128
    at = [np.linspace(0, 7.999, n) for n in (rows, columns)]
    low = [a.astype(int) for a in at]
    part = [a - b for a, b in zip(at, low, strict=True)]
    top = _mixed(coarse[low[0]], coarse[low[0] + 1], part[0][:, None, None])
    made = _mixed(top[:, low[1]], top[:, low[1] + 1], part[1][None, :, None])
    return np.asarray(made.clip(0, 255), np.uint8)


def _mixed(one: np.ndarray, other: np.ndarray, part: np.ndarray) -> np.ndarray:
    return one * (1 - part) + other * part


def networks(folder: Path) -> None:
    """The three that faces are read with, by InsightFace's names."""
    _detector(folder / "scrfd_10g_bnkps.onnx")
    _patches(folder / "2d106det.onnx", "data", 192, 212, 0.002, "bn_data")
    _patches(folder / "glintr100.onnx", "input.1", 112, 512, 1.0)


def _patches(path: Path, takes: str, side: int, gives: int, scale: float, first: str = "") -> None:
    patch = {"kernel_shape": [16, 16], "strides": [16, 16]}
    weight = filled(path.name, (3 * (side // 16) ** 2, gives), scale).numpy()
    nodes = [
        Node("AveragePool", [takes], "means", patch, first),
        Node("Flatten", ["means"], "flat", {"axis": 1}),
        Node("MatMul", ["flat", "weight"], "out"),
    ]
    shape = ("None", 3, side, side)
    write(path, (takes, shape), {"out": (1, gives)}, nodes, {"weight": weight})


def _detector(path: Path) -> None:
    """At each place two guesses, by the colour there."""
    nodes, constants, scores, boxes, points = [], {}, {}, {}, {}
    for stride in (8, 16, 32):
        pooled, placed = f"pooled{stride}", f"placed{stride}"
        patch = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes += [
            Node("AveragePool", ["input.1"], pooled, patch),
            Node("Transpose", [pooled], placed, {"perm": [0, 2, 3, 1]}),
        ]
        for kind, width, into in (("s", 1, scores), ("b", 4, boxes), ("p", 10, points)):
            name = f"{kind}{stride}"
            constants[f"w{name}"] = filled(f"w{name}", (3, 2 * width), 0.4).numpy()
            constants[f"c{name}"] = _middle(kind, stride)
            constants[f"r{name}"] = np.array([-1, width], np.int64)
            nodes += [
                Node("MatMul", [placed, f"w{name}"], f"m{name}"),
                Node("Reshape", [f"m{name}", f"r{name}"], f"f{name}"),
                Node("Add", [f"f{name}", f"c{name}"], f"o{name}"),
            ]
            into[f"o{name}"] = ("?", width)
    gives = {**scores, **boxes, **points}
    write(path, ("input.1", (1, 3, "?", "?")), gives, nodes, constants)


def _middle(kind: str, stride: int) -> np.ndarray:
    """What a guess is of grey: unsure, a box of some strides, points in it."""
    if kind == "s":
        return np.array([[0.12 + stride / 400]], np.float32)
    if kind == "b":
        return np.array([[2.5, 3.0, 2.6, 3.4]], np.float32)
    return np.array([[-1, -1, 1, -1, 0, 0.2, -0.8, 1, 0.8, 1.1]], np.float32)
