"""The official checkpoints load: every name and shape in them is one of ours, or not needed."""

from __future__ import annotations

import numpy as np
import pytest
import sadtalker_small as small
import torch
from cvl_inside.faces.enlarger import Enlarger
from cvl_inside.faces.parser import FaceParser
from cvl_inside.faces.retina_face import RetinaFace
from cvl_inside.faces.weights import PARSING
from sadtalker.dense_motion import DenseMotion
from sadtalker.expression import ExpressionNet
from sadtalker.face3d import FaceReconstruction
from sadtalker.generator import Generator
from sadtalker.keypoints import KeypointDetector
from sadtalker.landmark_net import LandmarkNet
from sadtalker.mapping import MappingNet
from sadtalker.pose import PoseNet
from sadtalker.restorer import Restorer
from sadtalker.weights import RESTORING, TRAINING

NETS = {
    "face_3drecon": FaceReconstruction,
    "audio2exp": ExpressionNet,
    "audio2pose": PoseNet,
    "generator": lambda: Generator(DenseMotion()),
    "kp_extractor": KeypointDetector,
    "mapping_00229": lambda: MappingNet(70),
    "mapping_00109": lambda: MappingNet(73),
    "alignment_WFLW_4HG": LandmarkNet,
    "detection_Resnet50_Final": RetinaFace,
    "GFPGANv1.4": Restorer,
    "parsing_parsenet": FaceParser,
    "RealESRGAN_x2plus": Enlarger,
}
LEFT_OUT = (*TRAINING, *RESTORING, *PARSING)


def official(net: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for file in ("layout", "enhancer", "background"):
        with np.load(small.GOLDEN / f"{file}.npz") as golden:
            named |= zip(golden["names"].tolist(), golden["shapes"].tolist(), strict=True)
    return {n.partition("/")[2]: s for n, s in named.items() if n.startswith(f"{net}/")}


@pytest.mark.parametrize("net", NETS)
def test_names_and_shapes_are_the_official_ones(net: str) -> None:
    with torch.device("meta"):
        state = NETS[net]().state_dict()
    expected = {n: s for n, s in official(net).items() if not n.startswith(LEFT_OUT)}
    assert expected and {n: "x".join(map(str, t.shape)) for n, t in state.items()} == expected


def test_what_is_left_out_is_what_trained_the_movement() -> None:
    left_out = [name for name in official("audio2pose") if name.startswith(TRAINING)]
    assert {name.split(".")[0] for name in left_out} == {"netG", "netD_motion"}
    assert len(left_out) == 174


def test_what_is_left_out_of_the_enhancer_is_what_trained_it_and_what_nobody_sees() -> None:
    for net, prefixes, count in (("GFPGANv1.4", RESTORING, 30), ("parsing_parsenet", PARSING, 2)):
        names = [name for name in official(net) if name.startswith(prefixes)]
        assert len(names) == count
