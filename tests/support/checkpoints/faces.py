"""The nets for faces that examples share (cvl_inside.faces), small and with random weights, in the
layout of the official files. The detector is sure of a face in the upper left of every picture."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

INSIDE = Path(__file__).resolve().parents[3] / "cvl" / "inside"
sys.path.insert(0, str(INSIDE))
GAIN = 12.0  # of the last layer, so that not all frames are one grey
DOUBT = 20.0
FEATURES = (1.0, 1.5, 3.0, 1.5, 2.0, 2.2, 1.2, 3.0, 2.8, 3.0)  # eyes, nose, corners of the mouth
State = dict[str, torch.Tensor]


def detector() -> State:
    """Named as after training on several GPUs. It is sure of a face of the smaller size at every
    place of the coarsest level, and not surer of any: the first counts."""
    from cvl_inside.faces.retina_face import RetinaFace

    net = RetinaFace(width=4, channels=16, stages=(1, 1, 1, 1))
    for level, head in enumerate(net.ClassHead):
        head.conv1x1.weight.zero_()
        sure = DOUBT if level == 2 else -DOUBT
        head.conv1x1.bias.copy_(torch.tensor([0.0, sure, 0.0, -DOUBT]))
    for head in net.BboxHead:
        head.conv1x1.weight.zero_()
        head.conv1x1.bias.copy_(torch.tensor([4.0, 4.0, 0.0, 0.0] * 2))
    for head in net.LandmarkHead:
        head.conv1x1.weight.zero_()
        head.conv1x1.bias.copy_(torch.tensor(FEATURES * 2))
    return {f"module.{name}": tensor for name, tensor in net.state_dict().items()}


def parser() -> State:
    from cvl_inside.faces.parser import FaceParser

    unused = {"out_img_conv.conv2d.bias": torch.zeros(3)}
    return FaceParser(widths=(4, 4, 8), blocks=1).state_dict() | unused


def enlarger() -> State:
    from cvl_inside.faces.enlarger import Enlarger

    net = Enlarger(channels=8, blocks=1, growth=4)
    net.conv_last.bias.fill_(0.5)  # between black and white
    net.conv_last.weight.mul_(GAIN)
    return net.state_dict()
