"""Where clips join: of small networks that were trained to make a film (by
`benchmarks/hallo2_seams.py`) and know only from the frames before how far it has got."""

from __future__ import annotations

import sys

import hallo_case as case
import pytest
import torch
from hallo2.sizes import CLIP_FRAMES

# Last, after the package: a file there has its name.
sys.path.append(str(case.EXAMPLE.parents[1] / "benchmarks"))

from hallo2_moving import STEP, SYLLABLE, changes, film, loudness, picture, studio

CLIPS = SYLLABLE
"""The mouth is then in another place at every join."""
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def films() -> list[torch.Tensor]:
    return [film(studio(), CLIPS, seed=seed) for seed in SEEDS]


def of_all(films: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Changes where clips join, and within."""
    joins, within = zip(*map(changes, films), strict=True)
    return torch.cat(joins), torch.cat(within)


def test_a_frame_differs_no_more_where_clips_join_than_within(films: list[torch.Tensor]) -> None:
    """Of 255, from frame to frame: the mean of the joins, the median within."""
    joins, within = of_all(films)
    assert len(joins) == len(SEEDS) * (CLIPS - 1)
    assert float(joins.mean()) <= float(within.median())


def test_without_the_frames_before_clips_do_not_join(films: list[torch.Tensor]) -> None:
    """With the portrait in their place every clip begins anew."""
    joins, within = changes(film(studio(), CLIPS, carried=False))
    assert float(joins.min()) > 4 * float(within.median())
    assert float(joins.min()) > 4 * float(of_all(films)[0].max())


def test_it_is_the_film_that_was_learned(films: list[torch.Tensor]) -> None:
    """As fast as that, through all clips; in the first one the head is where it should be."""
    phase = 0.3 + STEP * (torch.arange(CLIPS * CLIP_FRAMES) + 1)
    drawn = (picture(phase, loudness(CLIPS)).permute(0, 2, 3, 1) + 1) * 127.5
    moved = float(changes(drawn)[1].median())
    assert float(of_all(films)[1].median()) == pytest.approx(moved, rel=0.1)
    for made in films:
        apart = (made - drawn).abs().mean((1, 2, 3))[:CLIP_FRAMES]
        assert float(apart.mean()) < moved
