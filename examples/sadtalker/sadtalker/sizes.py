"""Nets in the sizes that a checkpoint has, read off the shapes of its tensors."""

from __future__ import annotations

from cvl_inside.faces.weights import Tensors, counted, stages

from sadtalker.dense_motion import DenseMotion
from sadtalker.face3d import FaceReconstruction
from sadtalker.generator import Generator
from sadtalker.keypoints import KeypointDetector
from sadtalker.landmark_net import LandmarkNet
from sadtalker.mapping import MappingNet
from sadtalker.restorer import Restorer


def face_reconstruction(tensors: Tensors) -> FaceReconstruction:
    width = len(tensors["backbone.conv1.weight"])
    return FaceReconstruction(width, stages(tensors, "backbone."))


def landmark_net(tensors: Tensors) -> LandmarkNet:
    hourglasses = counted(tensors, "m{}.coordconv.conv.weight")
    base, channels = len(tensors["conv1.conv.weight"]), len(tensors["conv_last0.weight"])
    depth = max(int(name[6:].partition(".")[0]) for name in tensors if name.startswith("m0.b1_"))
    return LandmarkNet(hourglasses, channels, depth, base)


def mapping_net(tensors: Tensors) -> MappingNet:
    width, coefficients, _ = tensors["first.0.weight"].shape
    layers = counted(tensors, "encoder{}.1.weight")
    keypoints, bins = len(tensors["fc_exp.weight"]) // 3, len(tensors["fc_yaw.weight"])
    return MappingNet(coefficients, width, layers, keypoints, bins)


def keypoint_detector(tensors: Tensors) -> KeypointDetector:
    blocks = counted(tensors, "predictor.down_blocks.down{}.conv.weight")
    base = len(tensors[f"predictor.up_blocks.up{blocks - 1}.conv.weight"])
    channels = len(tensors["predictor.conv.weight"])
    largest = tensors["predictor.up_blocks.up0.conv.weight"].shape[1]
    keypoints = len(tensors["kp.weight"])
    return KeypointDetector(base, largest, blocks, channels, channels // largest, keypoints)


def dense_motion(tensors: Tensors) -> DenseMotion:
    """Of a generator's tensors."""
    prefix = "dense_motion_network."
    blocks = counted(tensors, prefix + "hourglass.encoder.down_blocks.{}.conv.weight")
    last = prefix + "hourglass.{}.{}_blocks.{}.conv.weight"
    base = len(tensors[last.format("decoder", "up", blocks - 1)])
    largest = len(tensors[last.format("encoder", "down", blocks - 1)])
    compress, channels = tensors[prefix + "compress.weight"].shape[:2]
    kinds, outputs = tensors[prefix + "mask.weight"].shape[:2]
    depth = tensors[prefix + "occlusion.weight"].shape[1] // outputs
    return DenseMotion(channels, base, largest, blocks, depth, compress, kinds - 1)


def generator(tensors: Tensors) -> Generator:
    base, largest = len(tensors["first.conv.weight"]), len(tensors["second.weight"])
    blocks = counted(tensors, "resblocks_3d.3dr{}.conv1.weight")
    channels = len(tensors["resblocks_3d.3dr0.conv1.weight"])
    drawn, hidden = tensors["decoder.conv_img.weight"].shape[1], "decoder.up_0.norm_0.mlp_shared.0"
    return Generator(
        dense_motion(tensors), base, largest, channels, largest // channels, blocks, drawn,
        len(tensors[f"{hidden}.weight"]),
    )  # fmt: skip


def restorer(tensors: Tensors) -> Restorer:
    prefix = "stylegan_decoder."
    levels = counted(tensors, prefix + "to_rgbs.{}.bias")
    sizes = (tensors[f"{prefix}style_convs.{2 * level}.bias"].shape[1] for level in range(levels))
    _, latent = tensors[prefix + "to_rgb1.modulated_conv.modulation.weight"].shape
    return Restorer((tensors[prefix + "constant_input.weight"].shape[1], *sizes), latent)
