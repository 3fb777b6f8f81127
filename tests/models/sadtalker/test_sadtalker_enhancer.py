"""With the same weights, the enhancer gives what GFPGAN and facexlib give."""

from __future__ import annotations

import numpy as np
import pytest
import sadtalker_small as small
from cvl_inside.faces import weights
from cvl_inside.faces.detector import anchors, pointed, separate
from cvl_inside.faces.parser import FaceParser
from cvl_inside.faces.retina_face import RetinaFace
from sadtalker import enhancing, sizes
from sadtalker.enhancing import Enhancer
from sadtalker.restorer import Restorer
from sadtalker_small import filled, pictures
from test_sadtalker_networks import CLOSE, far, golden

UNSEEN = RetinaFace(width=4, channels=16, stages=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return filled(Restorer(small.DRAWN, small.LATENT))


@pytest.fixture(scope="module")
def parser() -> FaceParser:
    return filled(FaceParser(**small.PARSER))


def test_a_face_that_is_drawn_anew(restorer: Restorer) -> None:
    theirs = golden("enhancer")
    drawn = restorer(pictures("blurred", 1, 512, 512) * 2 - 1)[0]
    assert far(drawn[:, ::16, ::16], theirs["drawn"]) <= CLOSE
    assert far(drawn[:, 99], theirs["drawn_at_row_99"]) <= CLOSE


def test_what_each_pixel_of_a_face_belongs_to(parser: FaceParser) -> None:
    made = parser(pictures("blurred", 1, 512, 512) * 2 - 1)[0]
    assert far(made[:, ::32, ::32], golden("enhancer")["parsed"]) <= CLOSE


def test_eyes_nose_and_mouth_are_where_the_detector_says() -> None:
    places = anchors(90, 130)
    made = pointed(small.noise("points", (len(places), 10)), places)
    assert far(made.reshape(-1, 10)[::7], golden("enhancer")["points"]) <= 1e-6


def test_a_frame_whose_faces_are_drawn_anew(
    restorer: Restorer, parser: FaceParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one byte is further away than rounding explains."""
    monkeypatch.setattr(enhancing, "five_points_of", lambda *_: small.five_points())
    frame = small.picture("enhanced", *small.ENHANCED)
    made = Enhancer(UNSEEN, restorer, parser).enhance(frame)
    theirs = golden("enhancer")["enhanced"].astype(int)
    assert made.shape == (frame.shape[0] * 2, frame.shape[1] * 2, 3)
    assert np.abs(made[::3, ::3] - theirs).max() <= 1
    monkeypatch.setattr(enhancing, "five_points_of", lambda *_: np.zeros((0, 5, 2)))
    plain = Enhancer(UNSEEN, restorer, parser).enhance(frame)
    assert np.abs(plain.astype(int) - made).max() > 20


def test_a_large_frame_keeps_its_size_and_what_is_no_face_is_left_as_it_is(
    restorer: Restorer, parser: FaceParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Enhancer(UNSEEN, restorer, parser)
    monkeypatch.setattr(enhancing, "five_points_of", lambda *_: np.zeros((0, 5, 2)))
    assert made.enhance(np.zeros((10, 2048, 3), np.uint8)).shape == (20, 4096, 3)
    assert made.enhance(np.zeros((10, 2049, 3), np.uint8)).shape == (10, 2049, 3)
    dot = np.tile([[50.0, 50.0]], (5, 1))  # eyes and mouth in one place
    monkeypatch.setattr(enhancing, "five_points_of", lambda *_: dot[None])
    assert not made.enhance(np.zeros((100, 100, 3), np.uint8)).any()


def test_of_boxes_over_each_other_the_surest_is_kept() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [6, 0, 16, 10], [50, 50, 60, 60]], float)
    assert separate(boxes) == [0, 2, 3]
    assert separate(boxes[:0]) == []


def test_its_nets_have_the_sizes_of_their_weights() -> None:
    for make, net in (
        (sizes.restorer, Restorer(small.DRAWN, small.LATENT)),
        (weights.face_parser, FaceParser(**small.PARSER)),
    ):
        tensors = net.state_dict()
        made = make(tensors).state_dict()
        assert {n: t.shape for n, t in made.items()} == {n: t.shape for n, t in tensors.items()}
