"""What the golden numbers of SadTalker were made with: sizes, inputs and weights by formula.

Used by the generator of these numbers with upstream's modules, and by the tests with ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
EXAMPLE = HERE.parents[2] / "examples" / "sadtalker"
INSIDE = HERE.parents[2] / "cvl" / "inside"
sys.path[:0] = [str(HERE.parent), str(EXAMPLE), str(INSIDE)]

import filling  # noqa: E402

torch.set_grad_enabled(False)

SIDE = 32  # pixels of a picture that is rendered
FRAMES = 40  # of the speech: 1 at rest, 32 and 7 more of head movement
STYLE = 7
SCALE = 1.3  # of the expression
YAW, PITCH, ROLL = (-20, 30, 10), (5,), (-8, 8)
HOURGLASSES = 2
KEYPOINTS = {"base": 4, "largest": 16, "blocks": 3, "channels": 256, "depth": 16}
MOTION = {"base": 4, "largest": 16, "blocks": 3}
RESIDUALS = 1
MAPPING = {"width": 64, "layers": 3}
SHUT = 0.6  # how far the eyes of the net's input are
LARGE = 512  # pixels of the larger picture that is rendered
LATENT = 16
DRAWN = (32, 32, 32, 32, 32, 16, 8, 4)  # channels of the net that draws faces anew
PARSER = {"widths": (8, 16, 32, 32, 32), "blocks": 2}
ENHANCED = (160, 240)  # height and width of the frame whose faces are
ENLARGER = {"channels": 12, "blocks": 2, "growth": 6}
ENLARGED = (411, 423)  # height and width of the picture that is enlarged in four tiles
TILE = 96  # pixels of a tile of the frame
SEAM = slice(796, 804)  # rows of it, when it is, where tiles meet


def settle(module: torch.nn.Module) -> torch.nn.Module:
    """Makes the vectors of spectral norms what training makes them: of the largest singular
    value, nearly. With others a weight would be divided by next to nothing."""
    state = module.state_dict()
    for name in [name for name in state if name.endswith("weight_orig")]:
        weight, u = state[name].flatten(1), state[name.replace("_orig", "_u")]
        v = state[name.replace("_orig", "_v")]
        for _ in range(3):
            v.copy_(torch.nn.functional.normalize(weight.T @ u, dim=0))
            u.copy_(torch.nn.functional.normalize(weight @ v, dim=0))
    return module


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """The module with weights by formula, ready for inference."""
    variances = [name for name in module.state_dict() if name.endswith("running_var")]
    filling.fill(module, near_one=variances)
    return settle(module.requires_grad_(False).eval())


def enlarging(net: torch.nn.Module) -> torch.nn.Module:
    """With weights by formula that draw neither black nor white."""
    filled(net)
    with torch.no_grad():
        net.conv_last.bias.add_(0.1)
    return net


def tensor(name: str, *shape: int) -> torch.Tensor:
    """In -1..1, evenly spread."""
    return filling.filled(name, shape, 3**-0.5)


def noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return tensor(name, *shape).numpy()


def pictures(name: str, count: int, height: int, width: int) -> torch.Tensor:
    """(count, 3, H, W) in 0..1, coarse as pictures are."""
    coarse = tensor(name, count, 3, height // 8, width // 8)
    size = (height, width)
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear") * 0.5 + 0.5


def picture(name: str, height: int, width: int) -> np.ndarray:
    """(H, W, 3) bytes."""
    whole = (pictures(name, 1, height, width)[0] * 255).round().byte()
    return np.ascontiguousarray(whole.permute(1, 2, 0).numpy())


def face(name: str) -> np.ndarray:
    """(73,) coefficients: expression, angles, shift, and scale and place in the picture."""
    made = noise(name, (73,))
    made[64:67] *= 0.3
    made[70:] = 0.9, 128.0, 120.0
    return made


def wave() -> np.ndarray:
    """(N,) 16 bit samples of a buzz whose pitch and loudness change, with noise; two frames and a
    bit longer than FRAMES."""
    count = (FRAMES * 640) + 555
    time = np.arange(count) / 16000
    phase = 2 * np.pi * (140 * time + 12 * np.sin(2 * np.pi * 3 * time))
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    loud = 0.3 * np.abs(np.sin(2 * np.pi * 2.3 * time))
    return np.round((buzz * loud * 0.5 + 0.01 * noise("wave", (count,))) * 32767).astype(np.int16)


def landmarks(name: str, x: float, y: float, size: float, tilt: float) -> np.ndarray:
    """(68, 2) in float32: the face of an average person, roughly, of this size and tilt."""
    spots = ((36, 42, (-0.3, -0.3)), (42, 48, (0.3, -0.3)), (48, 68, (0, 0.45)))
    made = noise(name, (68, 2)) * 0.1
    for first, last, middle in spots:
        made[first:last] += middle
    made[48] += (-0.2, 0)
    made[54] += (0.2, 0)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return (made @ turn.T * size + (x, y)).astype(np.float32)


def five_points() -> np.ndarray:
    """(2, 5, 2): eyes, nose and corners of the mouth of two faces in the frame, one of them over
    its edge."""
    places = np.array([(-0.4, -0.4), (0.4, -0.4), (0, 0), (-0.3, 0.4), (0.3, 0.4)])
    turn = np.array([[0.98, -0.2], [0.2, 0.98]])
    return np.stack([places @ turn.T * 50 + (80, 75), places * 40 + (215, 90)])


# name, width and height of the picture, x, y, size and tilt of the face
FACES = (
    ("middle", 640, 480, 320, 240, 60, 0.1),
    ("corner", 640, 480, 60, 50, 50, -0.3),
    ("edge", 500, 640, 470, 600, 70, 0.2),
    ("large", 400, 400, 200, 200, 190, 0.0),
    ("huge", 4000, 3000, 2000, 1500, 900, 0.15),
)
