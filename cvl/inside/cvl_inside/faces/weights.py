"""Reads the nets off the files that they were published in. Every name in these is used, or named
here as not needed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Dict, Tuple, TypeVar

import torch
from torch import nn

from .background import MARGIN, Background
from .enlarger import Enlarger
from .parser import FaceParser
from .retina_face import RetinaFace

PARSING = ("out_img_conv.",)
"""Of what says which pixels are of a face: what it was trained with alone."""
Tensors = Dict[str, torch.Tensor]
Net = TypeVar("Net", bound=nn.Module)


class WrongWeights(ValueError):
    """A file does not hold the weights that it should."""


def detector(path: str, device: str) -> RetinaFace:
    """Of detection_Resnet50_Final.pth."""
    return built(retina_face, _plain(pickled(path)), device)


def parser(path: str, device: str) -> FaceParser:
    """Of parsing_parsenet.pth."""
    return built(face_parser, without(PARSING, pickled(path)), device)


def background(
    path: str, device: str, *, waiting: bool = False, margin: int = MARGIN
) -> Background:
    """Of RealESRGAN_x2plus.pth; for an NVIDIA GPU with half the precision, as upstream has it.
    waiting: on the CPU until somebody moves it there."""
    net = built(enlarger, pickled(path, "params_ema"), "cpu" if waiting else device)
    half = torch.device(device).type == "cuda"
    return Background(net.half() if half else net, margin=margin)


def retina_face(tensors: Tensors) -> RetinaFace:
    """Without weights, of the sizes that these have; so are those that follow."""
    width, channels = len(tensors["body.conv1.weight"]), len(tensors["fpn.output1.0.weight"])
    return RetinaFace(width, channels, stages(tensors, "body."))


def face_parser(tensors: Tensors) -> FaceParser:
    steps = counted(tensors, "decoder.{}.conv1.conv2d.weight")
    blocks = (f"encoder.{step}.conv2.conv2d.weight" for step in range(1, steps + 1))
    widths = (len(tensors["encoder.0.conv2d.weight"]), *(len(tensors[name]) for name in blocks))
    body = counted(tensors, "body.{}.conv1.conv2d.weight")
    return FaceParser(widths, body, len(tensors["out_mask_conv.conv2d.weight"]))


def enlarger(tensors: Tensors) -> Enlarger:
    growth, channels = tensors["body.0.rdb1.conv1.weight"].shape[:2]
    return Enlarger(channels, counted(tensors, "body.{}.rdb1.conv1.weight"), growth)


def counted(tensors: Tensors, name: str) -> int:
    """How many of `name` with a number for {} there are."""
    count = 0
    while name.format(count) in tensors:
        count += 1
    return count


def stages(tensors: Tensors, prefix: str) -> Tuple[int, ...]:
    """Blocks of each stage of a ResNet."""
    names = (f"{prefix}layer{stage}.{{}}.conv1.weight" for stage in range(1, 5))
    return tuple(counted(tensors, name) for name in names)


def pickled(path: str, part: str | None = None) -> Tensors:
    """The tensors of a file of torch, or of a part of it. Runs no code of the file."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise WrongWeights(f"{path} cannot be read: {error}") from error
    if part is None:
        return held
    if part not in held:
        raise WrongWeights(f"{path} has no {part!r} in it")
    return held[part]


def without(prefixes: Tuple[str, ...], tensors: Tensors) -> Tensors:
    """Those whose names do not begin so."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)}


def _plain(tensors: Tensors) -> Tensors:
    """Without the prefix that training on several GPUs leaves."""
    prefix = "module."
    return {
        name[len(prefix) :] if name.startswith(prefix) else name: tensor
        for name, tensor in tensors.items()
    }


def built(kind: Callable[[Tensors], Net], tensors: Tensors, device: str) -> Net:
    """A net with these weights, which it takes over, ready for inference."""
    try:
        with torch.device("meta"):
            net = kind(tensors)
        for name, buffer in net.named_buffers():  # which old versions of torch did not write
            if name.endswith("num_batches_tracked") and name not in tensors:
                tensors[name] = torch.zeros_like(buffer, device="cpu")
        net.load_state_dict(tensors, strict=True, assign=True)
    except (RuntimeError, KeyError, ValueError) as error:
        raise WrongWeights(f"these are not the weights that are needed: {error}") from error
    return net.requires_grad_(False).eval().to(device)
