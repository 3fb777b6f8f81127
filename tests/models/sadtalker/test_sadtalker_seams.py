"""A part that is pasted back into the portrait shows no more of its edge than upstream's does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import seams
from sadtalker.framing import around_face, whole
from test_sadtalker_networks import golden

PORTRAITS = seams.portraits()


@pytest.mark.parametrize("mode", seams.PASTING)
@pytest.mark.parametrize("name", PORTRAITS)
def test_the_part_is_pasted_back_as_upstream_does(name: str, mode: str) -> None:
    theirs, picture = golden("seams"), PORTRAITS[name]
    frame, box = seams.made(picture, theirs[f"{name}: landmarks"], mode)
    assert frame.shape == picture.shape
    inner = seams.edge(frame, box)[0][::4]
    for ours, known in ((frame[::8, ::8], f"{name}: {mode}"), (inner, f"{name}: {mode} edge")):
        assert np.abs(ours.astype(int) - theirs[known]).max() <= 1
    assert seams.step(frame, box) <= theirs[f"{name}: {mode} step"] + 0.01
    brighter = frame.astype(int) - picture
    assert brighter[tuple(slice(n // 3, -n // 3) for n in picture.shape[:2])].max() > 10


@pytest.mark.parametrize("mode", seams.PASTING)
def test_a_part_that_was_only_laid_on_would_be_seen(mode: str) -> None:
    """By the measure above, which would not be worth much otherwise."""
    theirs, picture = golden("seams"), PORTRAITS["as it is"]
    frame, box = seams.made(picture, theirs["as it is: landmarks"], mode)
    left, top, right, bottom = box
    laid = picture.copy()
    part = seams.rendered(picture[top:bottom, left:right])
    laid[top:bottom, left:right] = cv2.resize(part, (right - left, bottom - top))
    assert seams.step(laid, box) > 1.5 * seams.step(frame, box)


@pytest.mark.parametrize("mode", ["crop", "extcrop", "resize"])
@pytest.mark.parametrize("name", PORTRAITS)
def test_the_other_modes_show_the_part_alone(name: str, mode: str) -> None:
    picture, points = PORTRAITS[name], golden("seams")[f"{name}: landmarks"]
    frame, _ = seams.made(picture, points, mode)
    framing = whole(picture) if mode == "resize" else around_face(picture, points, "ext" in mode)
    part = seams.rendered(framing.cut(picture))
    assert frame.shape[1] == seams.SIDE
    same = cv2.resize(part, (frame.shape[1], frame.shape[0]))
    assert np.abs(same.astype(int) - frame).max() <= 1
