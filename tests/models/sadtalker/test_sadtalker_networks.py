"""With the same weights, each net gives what upstream's gives."""

from __future__ import annotations

import numpy as np
import pytest
import sadtalker_small as small
import torch
from cvl_inside.faces.retina_face import RetinaFace
from sadtalker import landmark_net
from sadtalker.blocks import fold
from sadtalker.dense_motion import DenseMotion
from sadtalker.expression import ExpressionNet
from sadtalker.face3d import FaceReconstruction
from sadtalker.generator import Generator
from sadtalker.keypoints import KeypointDetector
from sadtalker.mapping import MappingNet, moved
from sadtalker.pose import PoseNet
from sadtalker.voice import mel_spectrogram
from sadtalker_small import filled, pictures, tensor

CLOSE = 1e-4
FOLDED = pytest.mark.parametrize("folded", [False, True], ids=["as loaded", "folded"])
Numbers = dict[str, np.ndarray]


def golden(name: str) -> Numbers:
    with np.load(small.GOLDEN / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def far(mine: torch.Tensor | np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference; what is compared must be more than zeros."""
    mine = np.asarray(mine)
    assert mine.shape == theirs.shape and np.ptp(theirs) > 0
    return float(np.abs(mine - theirs).max())


def test_the_spectrogram() -> None:
    wave = small.wave().astype(np.float32) / 32768
    assert far(mel_spectrogram(wave), golden("voices")["mel"]) <= 1e-5


def test_a_spectrogram_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = small.wave().astype(np.float32) / 32768
    whole = mel_spectrogram(wave)
    monkeypatch.setattr("sadtalker.voice.AT_ONCE", 7)
    assert (mel_spectrogram(wave) == whole).all()


def test_the_expression() -> None:
    net = filled(ExpressionNet())
    shut = torch.full((5, 1), small.SHUT)
    made = net(tensor("heard", 5, 80, 16) * 4, tensor("rest", 5, 64), shut)
    assert far(made, golden("voices")["expression"]) <= CLOSE


def test_the_movement_of_the_head() -> None:
    net = filled(PoseNet())
    heard = tensor("heard by head", small.FRAMES, 80, 16) * 4
    rest = tensor("rest of head", 1, small.FRAMES, 70)[0, 0, -6:]
    noise = tensor("noise", 8, 64)
    made = net(lambda a, b: heard[a:b], small.FRAMES, rest, small.STYLE, noise)
    assert far(made, golden("voices")["pose"]) <= CLOSE


def test_the_coefficients_of_a_face() -> None:
    net = filled(FaceReconstruction())
    assert far(net(pictures("face", 2, 96, 96)), golden("faces")["coefficients"]) <= CLOSE


def test_the_detector_of_faces() -> None:
    net, theirs = filled(RetinaFace()), golden("faces")
    found = net(pictures("detected", 1, 96, 128) * 255 - 117)
    for name in ("boxes", "scores", "landmarks"):
        assert far(getattr(found, name)[0], theirs[name]) <= CLOSE


def test_the_landmarks_of_a_face() -> None:
    net, theirs = filled(landmark_net.LandmarkNet(small.HOURGLASSES)), golden("faces")
    heat = net(pictures("aligned", 1, 256, 256))[0]
    assert far(heat[:, ::8, ::8], theirs["heat"]) <= CLOSE
    assert far(heat[:, 30], theirs["heat_at_row_30"]) <= CLOSE


def test_the_motion_of_a_frame() -> None:
    net, theirs = filled(MappingNet(**small.MAPPING)), golden("renderer")
    motion = net(tensor("coefficients", 2, 70, 27))
    assert far(motion.shift, theirs["t"]) <= CLOSE
    assert far(motion.expression.flatten(1), theirs["exp"]) <= CLOSE
    points = torch.from_numpy(theirs["keypoints"])
    assert far(moved(points, motion), theirs["moved"]) <= CLOSE


@FOLDED
def test_the_keypoints_of_a_face(folded: bool) -> None:
    net = filled(KeypointDetector(**small.KEYPOINTS))
    if folded:
        fold(net)
    made = net(pictures("source", 1, small.SIDE, small.SIDE))
    assert far(made, golden("renderer")["keypoints"]) <= CLOSE


@FOLDED
def test_the_renderer(folded: bool) -> None:
    theirs = golden("renderer")
    net = filled(Generator(DenseMotion(**small.MOTION), blocks=small.RESIDUALS))
    if folded:
        fold(net)
    source, driving = tensor("at rest", 1, 15, 3) * 0.7, tensor("moved", 2, 15, 3) * 0.7
    motion = net.dense_motion_network
    flow = motion(motion.summary(tensor("features", 1, 32, 16, 16, 16)), source, driving[:1])
    assert far(flow.places[:, ::2, ::2, ::2], theirs["flow"]) <= CLOSE
    assert far(flow.visible, theirs["occlusion"]) <= CLOSE
    scene = net.scene(pictures("source", 1, small.SIDE, small.SIDE), source)
    assert far(net(scene, driving), theirs["prediction"]) <= CLOSE
