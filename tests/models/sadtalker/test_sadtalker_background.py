"""With the same weights, frames are enlarged as Real-ESRGAN enlarges them, and faces drawn on
them."""

from __future__ import annotations

import numpy as np
import pytest
import sadtalker_small as small
from cvl_inside.faces import weights
from cvl_inside.faces.background import Background
from cvl_inside.faces.enlarger import Enlarger
from cvl_inside.faces.parser import FaceParser
from sadtalker import enhancing
from sadtalker.enhancing import Enhancer
from sadtalker.restorer import Restorer
from sadtalker_small import filled, pictures
from test_sadtalker_enhancer import UNSEEN
from test_sadtalker_networks import CLOSE, far, golden


@pytest.fixture(scope="module")
def enlarger() -> Enlarger:
    return small.enlarging(Enlarger(**small.ENLARGER))


def steps(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Of 255, between the bytes that are furthest apart."""
    assert ours.shape == theirs.shape
    return int(np.abs(ours.astype(int) - theirs).max())


def test_a_picture_that_the_net_enlarges(enlarger: Enlarger) -> None:
    made = enlarger(pictures("enlarged by the net", 1, 32, 48))
    assert made.shape == (1, 3, 64, 96)
    assert far(made[0, :, ::2], golden("background")["net"]) <= CLOSE


def test_a_picture_of_odd_sides_in_four_tiles(enlarger: Enlarger) -> None:
    """They meet where upstream's do, with the same next to them."""
    picture, theirs = small.picture("enlarged", *small.ENLARGED), golden("background")
    made = Background(enlarger).enlarged(picture)
    assert made.shape == (822, 846, 3)
    assert steps(made[::9, ::7], theirs["tiled"]) <= 1
    assert steps(made[small.SEAM][:, ::5], theirs["tiled_at_seam"]) <= 1
    other = Background(enlarger, margin=4).enlarged(picture)
    assert steps(other[small.SEAM][:, ::5], theirs["tiled_at_seam"]) > 2


@pytest.mark.parametrize("factor", [2, 1])
def test_faces_are_pasted_on_what_was_enlarged(
    enlarger: Enlarger, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    """A frame that is too large to be enlarged is made smaller again."""
    restorer = filled(Restorer(small.DRAWN, small.LATENT))
    parser = filled(FaceParser(**small.PARSER))
    monkeypatch.setattr(enhancing, "five_points_of", lambda *_: small.five_points())
    monkeypatch.setattr(enhancing, "LARGEST", max(small.ENHANCED) + factor - 2)
    frame = small.picture("enhanced", *small.ENHANCED)
    drawing = Enhancer(UNSEEN, restorer, parser, Background(enlarger, small.TILE))
    made = drawing.enhance(frame)
    assert made.shape == (frame.shape[0] * factor, frame.shape[1] * factor, 3)
    assert steps(made[::3, ::3], golden("background")[f"enhanced_by_{factor}"]) <= 1


def test_with_half_the_precision_it_is_nearly_the_same(enlarger: Enlarger) -> None:
    picture = small.picture("enlarged", 24, 40)
    rough = small.enlarging(Enlarger(**small.ENLARGER)).half()
    made, exact = Background(rough).enlarged(picture), Background(enlarger).enlarged(picture)
    assert 0 < steps(made, exact) <= 3


def test_the_net_has_the_sizes_of_its_weights(enlarger: Enlarger) -> None:
    tensors = enlarger.state_dict()
    made = weights.enlarger(tensors).state_dict()
    assert {n: t.shape for n, t in made.items()} == {n: t.shape for n, t in tensors.items()}
