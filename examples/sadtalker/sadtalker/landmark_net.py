"""Places 98 points on a face: four stacked hourglasses, named as facexlib's weights name them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

Tensor = torch.Tensor
POINTS = 98
FACE = 256  # pixels on each side that the face is scaled to
HEAT = 64  # ... and of its heat maps
NEAR = 0.05  # heat above which a place belongs to the outline of the face


def coordinates(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each place in -1..1: (size, size) each."""
    along = torch.arange(size).to(like) / (size - 1) * 2 - 1
    rows, columns = torch.meshgrid(along, along, indexing="ij")
    return rows, columns


class CoordConv(nn.Module):
    """A convolution that is told where it is: row, column, distance; on the outline once more."""

    def __init__(self, inputs: int, outputs: int, outlined: bool, kernel: int, stride: int) -> None:
        super().__init__()
        inputs += 5 if outlined else 3
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)

    def forward(self, x: Tensor, heat: Tensor | None = None) -> Tensor:
        rows, columns = coordinates(x.shape[2], x)
        distance = torch.sqrt(rows**2 + columns**2)
        known = torch.stack([rows, columns, distance / distance.max()]).expand(len(x), -1, -1, -1)
        parts = [x, known]
        if heat is not None:
            parts.append(known[:, :2] * (heat[:, -1:].clamp(0, 1) > NEAR))
        return self.conv(torch.cat(parts, 1))


class Hierarchy(nn.Module):
    """Three 3x3 convolutions in a row whose outputs are put side by side, and a way round them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = (inputs, outputs // 2, outputs // 4, outputs // 4)
        for index, (a, b) in enumerate(zip(widths, widths[1:]), 1):
            self.add_module(f"bn{index}", nn.BatchNorm2d(a))
            self.add_module(f"conv{index}", nn.Conv2d(a, b, 3, padding=1, bias=False))
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.downsample = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), convolution)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(torch.relu(self.bn1(x)))
        second = self.conv2(torch.relu(self.bn2(first)))
        third = self.conv3(torch.relu(self.bn3(second)))
        return torch.cat([first, second, third], 1) + self.downsample(x)


class Hourglass(nn.Module):
    def __init__(self, depth: int, channels: int, outlined: bool) -> None:
        super().__init__()
        self.depth = depth
        self.coordconv = CoordConv(channels, channels, outlined, 1, 1)
        for level in range(depth, 0, -1):
            for name in ("b1", "b2", "b3", *(("b2_plus",) if level == 1 else ())):
                self.add_module(f"{name}_{level}", Hierarchy(channels, channels))

    def forward(self, x: Tensor, heat: Tensor | None) -> Tensor:
        return self._level(self.depth, self.coordconv(x, heat))

    def _level(self, level: int, x: Tensor) -> Tensor:
        beside = self.get_submodule(f"b1_{level}")(x)
        low = self.get_submodule(f"b2_{level}")(functional.avg_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        low = self.get_submodule(f"b3_{level}")(low)
        return beside + functional.interpolate(low, scale_factor=2)


class LandmarkNet(nn.Module):
    """(B, 3, 256, 256) in 0..1 -> (B, 99, 64, 64) heat maps: of each point, and of the outline."""

    def __init__(
        self, hourglasses: int = 4, channels: int = 256, depth: int = 4, base: int = 64
    ) -> None:
        super().__init__()
        self.conv1 = CoordConv(3, base, False, 7, 2)
        self.bn1 = nn.BatchNorm2d(base)
        self.conv2, self.conv3 = Hierarchy(base, 2 * base), Hierarchy(2 * base, 2 * base)
        self.conv4 = Hierarchy(2 * base, channels)
        self.hourglasses = hourglasses
        for index in range(hourglasses):
            first, last = index == 0, index == hourglasses - 1
            self.add_module(f"m{index}", Hourglass(depth, channels, not first))
            self.add_module(f"top_m_{index}", Hierarchy(channels, channels))
            self.add_module(f"conv_last{index}", nn.Conv2d(channels, channels, 1))
            self.add_module(f"bn_end{index}", nn.BatchNorm2d(channels))
            self.add_module(f"l{index}", nn.Conv2d(channels, POINTS + 1, 1))
            if not last:
                self.add_module(f"bl{index}", nn.Conv2d(channels, channels, 1))
                self.add_module(f"al{index}", nn.Conv2d(POINTS + 1, channels, 1))

    def forward(self, faces: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(faces)))
        x = self.conv4(self.conv3(functional.avg_pool2d(self.conv2(x), 2)))
        heat: Tensor | None = None
        for index in range(self.hourglasses):
            part = self._named(index)
            seen = part["top_m_"](part["m"](x, heat))
            seen = torch.relu(part["bn_end"](part["conv_last"](seen)))
            heat = part["l"](seen)
            if index < self.hourglasses - 1:
                x = x + part["bl"](seen) + part["al"](heat)
        assert heat is not None
        return heat

    def _named(self, index: int) -> dict[str, nn.Module]:
        """The modules of one hourglass by their names without its number."""
        names = ("m", "top_m_", "conv_last", "bn_end", "l", "bl", "al")
        parts = dict(self.named_children())
        return {name: parts[f"{name}{index}"] for name in names if f"{name}{index}" in parts}


def peaks(heat: np.ndarray) -> np.ndarray:
    """(K, 64, 64) -> (K, 2) x and y of each map's peak, a quarter towards its larger neighbour."""
    flat = heat.reshape(len(heat), -1)
    size, last = heat.shape[2], flat.shape[1] - 1
    best = flat.argmax(1)

    def slope(step: int) -> np.ndarray:
        there, back = np.minimum(best + step, last), np.maximum(best - step, 0)
        rows = np.arange(len(flat))
        return np.sign(flat[rows, there] - flat[rows, back]) * 0.25

    return np.stack([best % size + slope(1), best // size + slope(size)], 1) + 0.5


def find_landmarks(net: LandmarkNet, face: np.ndarray) -> np.ndarray:
    """(H, W, 3) bytes of a face -> (68, 2) x and y in its pixels. The channels are turned round."""
    scaled = cv2.resize(face, (FACE, FACE))[..., ::-1].transpose(2, 0, 1)
    device = next(net.parameters()).device
    pixels = torch.from_numpy(np.ascontiguousarray(scaled)).to(device).float() / 255
    heat = net(pixels[None])[0, :POINTS].cpu().numpy()
    return to_68(peaks(heat) * (face.shape[1] / HEAT, face.shape[0] / HEAT))


# Each of the 68 points is the mean of these two of the 98.
JAW = [(point, point) for point in range(0, 33, 2)]
LEFT_BROW = [(33, 33), (34, 41), (35, 40), (36, 39), (37, 38)]
RIGHT_BROW = [(42, 50), (43, 49), (44, 48), (45, 47), (46, 46)]
NOSE = [(point, point) for point in range(51, 60)]
EYES = [(point, point) for point in (60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75)]
MOUTH = [(point, point) for point in range(76, 96)]
PAIRS = np.array([*JAW, *LEFT_BROW, *RIGHT_BROW, *NOSE, *EYES, *MOUTH])


def to_68(points: np.ndarray) -> np.ndarray:
    """(98, 2) as WFLW orders them -> (68, 2) as iBUG does."""
    return points[PAIRS].mean(1).astype(np.float32)
