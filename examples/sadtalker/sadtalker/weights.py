"""Reads the official checkpoints. Every name in them is used or named here as not needed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from sadtalker import sizes
from sadtalker.acting import Actor
from sadtalker.background import Background
from sadtalker.blocks import fold
from sadtalker.enhancing import Enhancer
from sadtalker.expression import ExpressionNet
from sadtalker.face_detector import RetinaFace
from sadtalker.pose import PoseNet
from sadtalker.reading import Reader
from sadtalker.rendering import Renderer

TRAINING = ("netG.encoder.", "netD_motion.")
"""Of audio2pose: what it was trained with alone."""
RESTORING = ("toRGB.", "stylegan_decoder.style_mlp.")
PARSING = ("out_img_conv.",)
"""Of the nets of the enhancer, likewise."""
Tensors = dict[str, torch.Tensor]
Net = TypeVar("Net", bound=nn.Module)


class WrongWeights(ValueError):
    """A file does not hold the weights that it should."""


def actor(path: str, device: str) -> Actor:
    return Actor(
        built(lambda _: ExpressionNet(), part_of(path, "audio2exp."), device),
        built(lambda _: PoseNet(), part_of(path, "audio2pose.", TRAINING), device),
    )


def reader(path: str, detector: str, landmarks: str, device: str) -> Reader:
    return Reader(
        built(sizes.retina_face, _plain(pickled(detector)), device),
        built(sizes.landmark_net, pickled(landmarks, "state_dict"), device),
        built(sizes.face_reconstruction, part_of(path, "face_3drecon."), device),
    )


def renderer(path: str, mapping: str, device: str) -> Renderer:
    generator = built(sizes.generator, part_of(path, "generator."), device)
    keypoints = built(sizes.keypoint_detector, part_of(path, "kp_extractor."), device)
    for net in (generator, keypoints):
        fold(net)
    net = built(sizes.mapping_net, pickled(mapping, "mapping"), device)
    return Renderer(generator, keypoints, net)


def enhancer(
    detector: RetinaFace, device: str, restorer: str, parser: str, enlarger: str | None = None
) -> Enhancer:
    restoring = _without(RESTORING, pickled(restorer, "params_ema"))
    return Enhancer(
        detector,
        built(sizes.restorer, restoring, device),
        built(sizes.face_parser, _without(PARSING, pickled(parser)), device),
        background(enlarger, device) if enlarger else None,
    )


def background(path: str, device: str) -> Background:
    """On an NVIDIA GPU with half the precision, as upstream has it there."""
    net = built(sizes.enlarger, pickled(path, "params_ema"), device)
    return Background(net.half() if torch.device(device).type == "cuda" else net)


def part_of(path: str, prefix: str, without: tuple[str, ...] = ()) -> Tensors:
    """The tensors of a .safetensors file whose names begin with `prefix`, without it."""
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            names = [name for name in names if not name.removeprefix(prefix).startswith(without)]
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise WrongWeights(f"{path} cannot be read: {error}") from error


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


def _without(prefixes: tuple[str, ...], tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)}


def _plain(tensors: Tensors) -> Tensors:
    """Without the prefix that training on several GPUs leaves."""
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


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
