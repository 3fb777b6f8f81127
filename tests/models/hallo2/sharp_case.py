"""The films that upstream's super-resolution and ours are compared on, and the networks that both
are run with: small ones, and formulas in place of what finds faces and what draws them.

A face is what is bright: a disc that wanders.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
ROOT = HERE.parents[2]
PLACES = (ROOT / "examples" / "hallo2", HERE.parent, ROOT / "cvl" / "inside")
sys.path[:0] = map(str, PLACES)

from filling import fill  # noqa: E402

ROWS, COLUMNS = 80, 91
TILE = 48
PARSER = {"widths": (8, 16, 32, 32, 32), "blocks": 2}
ENLARGER = {"channels": 8, "blocks": 1, "growth": 4}
BRIGHT = 180 * 3
STEPS = (8, 16, 32)
FEATURES = torch.tensor([[-0.4, -0.35], [0.4, -0.35], [0.0, 0.05], [-0.3, 0.4], [0.3, 0.4]])


@dataclass(frozen=True)
class Film:
    """bg: does the network enlarge what is round the face? rows, columns: of what is stored, one of
    so many."""

    frames: int
    upscale: int
    fidelity: float
    bg: bool = False
    face_upsample: bool = False
    grey: bool = False
    rows: int = 29
    columns: int = 23


FILMS = {
    "two chunks": Film(20, 2, 0.5, bg=True),
    "grey": Film(2, 1, 1.0, grey=True, rows=9, columns=7),
    "its face enlarged": Film(2, 3, 0.0, bg=True, face_upsample=True),
    "four times": Film(2, 4, 0.7, rows=37, columns=31),
}


def frame(
    number: int, rows: int = ROWS, columns: int = COLUMNS, *, grey: bool = False
) -> np.ndarray:
    """uint8 [rows, columns, 3] in RGB; a face is where `centre` says."""
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    waves = [np.sin(x * 0.11 + i) + np.cos(y * 0.13 - i + number * 0.05) for i in range(3)]
    picture = 70 + 25 * np.stack(waves, 2)
    column, row = centre(number, rows, columns)
    radius = min(rows, columns) * 0.28
    disc = np.hypot(x - column, y - row) < radius
    face = np.stack([225 + 20 * np.sin((x - column) * 0.5 + i * 0.7) for i in range(3)], 2)
    picture[disc] = face[disc]
    if grey:
        picture[:] = picture.mean(2, keepdims=True)
    return picture.round().astype(np.uint8)


def centre(number: int, rows: int, columns: int) -> tuple[float, float]:
    """Column and row of the face."""
    turn = number * 0.4
    return columns * (0.5 + 0.12 * np.sin(turn)), rows * (0.5 + 0.1 * np.cos(turn))


def film(name: str) -> list[np.ndarray]:
    return [frame(number, grey=FILMS[name].grey) for number in range(FILMS[name].frames)]


def detected(pictures: Tensor, mean: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Of [1, 3, rows, columns] less the mean: (boxes [1, n, 4], scores [1, n], points [1, n, 10])
    relative to n places, of which three look like a face: one is sure, its neighbour is of the same
    face and less so, and one is not sure enough."""
    rows, columns = pictures.shape[2:]
    bright = pictures[0].sum(0) + sum(mean) > BRIGHT
    counts = [-(-rows // step) * -(-columns // step) * 2 for step in STEPS]
    boxes, points = torch.zeros(1, sum(counts), 4), torch.zeros(1, sum(counts), 10)
    scores = torch.zeros(1, sum(counts))
    scores[0, 0] = 0.75
    if not bright.any():
        return boxes, scores, points
    row, column = (places.double().mean() for places in torch.nonzero(bright, as_tuple=True))
    radius = (bright.sum() / torch.pi).sqrt()
    step, size = STEPS[2], 256
    at = int(row) // step, int(column) // step
    for score, beside in ((0.9, 0), (0.85, 1)):
        place = at[0], at[1] - beside
        index = sum(counts[:2]) + (place[0] * -(-columns // step) + place[1]) * 2
        middle = torch.tensor([(place[1] + 0.5) * step, (place[0] + 0.5) * step])
        away = torch.stack([column, row]) - middle
        boxes[0, index, :2] = away / size / 0.1
        boxes[0, index, 2:] = torch.log(2 * radius * (1 + beside * 0.1) / size) / 0.2
        points[0, index] = ((away + FEATURES * radius) / size / 0.1).flatten()
        scores[0, index] = score
    return boxes, scores, points


class Restorer(nn.Module):
    """What it draws of a frame depends on all frames that it is given with."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, faces: Tensor, fidelity: float) -> Tensor:
        """[frames, 3, side, side] in -1..1 -> the same."""
        drawn = 0.5 * faces + 0.3 * faces.mean(0) + 0.2 * faces.flip(0)
        return 0.9 * torch.tanh(self.scale * (fidelity * faces + (1 - fidelity) * drawn))


@torch.no_grad()
def parsing(net: nn.Module) -> nn.Module:
    """Of any ParseNet: most of a face is skin, and some of it is not."""
    fill(net, [name for name in net.state_dict() if name.endswith("running_var")])
    return net.eval().requires_grad_(False)


@torch.no_grad()
def enlarging(net: nn.Module) -> nn.Module:
    """Of any Real-ESRGAN: bright in the middle, with structure."""
    fill(net)
    net.conv_last.bias.fill_(0.5)  # type: ignore[operator, union-attr]
    net.conv_last.weight.mul_(0.3)  # type: ignore[operator, union-attr]
    return net.eval().requires_grad_(False)
