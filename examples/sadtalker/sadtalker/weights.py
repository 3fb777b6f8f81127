"""Reads the official checkpoints. Every name in them is used or named here as not needed."""

from __future__ import annotations

from cvl_inside.faces import weights as faces
from cvl_inside.faces.retina_face import RetinaFace
from cvl_inside.faces.weights import Tensors, WrongWeights, built, pickled, without
from safetensors import SafetensorError, safe_open

from sadtalker import sizes
from sadtalker.acting import Actor
from sadtalker.blocks import fold
from sadtalker.enhancing import Enhancer
from sadtalker.expression import ExpressionNet
from sadtalker.pose import PoseNet
from sadtalker.reading import Reader
from sadtalker.rendering import Renderer

TRAINING = ("netG.encoder.", "netD_motion.")
"""Of audio2pose: what it was trained with alone."""
RESTORING = ("toRGB.", "stylegan_decoder.style_mlp.")
"""Of what draws faces, likewise."""


def actor(path: str, device: str) -> Actor:
    return Actor(
        built(lambda _: ExpressionNet(), part_of(path, "audio2exp."), device),
        built(lambda _: PoseNet(), part_of(path, "audio2pose.", TRAINING), device),
    )


def reader(path: str, detector: str, landmarks: str, device: str) -> Reader:
    return Reader(
        faces.detector(detector, device),
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
    restoring = without(RESTORING, pickled(restorer, "params_ema"))
    return Enhancer(
        detector,
        built(sizes.restorer, restoring, device),
        faces.parser(parser, device),
        faces.background(enlarger, device) if enlarger else None,
    )


def part_of(path: str, prefix: str, without: tuple[str, ...] = ()) -> Tensors:
    """The tensors of a .safetensors file whose names begin with `prefix`, without it."""
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            names = [name for name in names if not name.removeprefix(prefix).startswith(without)]
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise WrongWeights(f"{path} cannot be read: {error}") from error
