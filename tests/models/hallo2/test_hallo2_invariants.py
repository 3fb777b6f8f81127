"""What must hold however long the video is, and wherever the networks are."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import hallo_case as case
import pytest
import torch
from filling import filled
from hallo2.attention import Feed
from hallo2.clip import Chance, shown, with_dropped
from hallo2.generation import Studio, scheduler
from hallo2.offload import Places
from hallo_checkpoints import (
    SIZES,
    counting,
    frames,
    regions,
    small_networks,
    small_studio,
    small_vae,
)

# Last, after the package: a file there has its name.
sys.path.append(str(case.EXAMPLE.parents[1] / "benchmarks"))

from hallo2_moving import changes

WORD = 12
"""Frames of what is said again and again: it does not fit into clips."""


def film(studio: Studio | None = None, clips: int = case.CLIPS, **given: object) -> torch.Tensor:
    """All frames."""
    return torch.cat(list(frames(studio or small_studio(), clips, **given)))


def test_every_clip_is_of_16_frames_as_they_are_written() -> None:
    """Rows, columns, colours; whole numbers; on the CPU."""
    clips = list(frames(small_studio(), 3, steps=1))
    assert [tuple(clip.shape) for clip in clips] == [(case.FRAMES, case.SIDE, case.SIDE, 3)] * 3
    assert {clip.dtype for clip in clips} == {torch.uint8}


def test_a_clip_continues_the_one_before() -> None:
    """It is given the last two frames: were the first clip another, so would be the second."""
    one, other = case.speech(2), case.speech(2)
    other[: case.FRAMES] += 1
    videos = [list(spoken(speech)) for speech in (one, other)]
    assert not torch.equal(videos[0][1], videos[1][1])


def test_where_clips_join_frames_follow_the_speech_as_elsewhere() -> None:
    """The same words give the same frame wherever in a clip they are said. The networks see neither
    noise nor other frames here: what those carry over is looked at in test_hallo2_seams.py."""
    networks = deepcopy(small_networks())
    networks.denoising_unet.conv_in.weight.zero_()
    for name, weight in networks.denoising_unet.named_parameters():
        if "motion_modules" in name and "proj_out" in name:
            weight.zero_()
    studio = Studio(networks, small_vae(), SIZES, Places("cpu"))
    turn = torch.arange(4 * case.FRAMES)[:, None, None, None] * (2 * math.pi / WORD)
    said = turn.cos() * case.speech(1)[:1] + turn.sin() * case.speech(1)[1:2]
    video = torch.cat(list(spoken(said, studio, steps=1, cfg_scale=1)))
    again = (video[WORD:].float() - video[:-WORD].float()).abs()
    assert float(again.max()) <= 1  # wherever in a clip it is said
    seams, within = changes(video.float())
    assert len(seams) == 3 and float(within.median()) > 10
    assert float(seams.mean()) <= 1.02 * float(within.median())


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float16, 1.0), (torch.bfloat16, 4.0)])
def test_other_dtypes_give_nearly_the_same_frames(dtype: torch.dtype, apart: float) -> None:
    """From end to end in that dtype; on average, of 255. The noise is not drawn in it."""
    networks, vae = (deepcopy(n).to(dtype) for n in (small_networks(), small_vae()))
    ours = film(Studio(networks, vae, SIZES, Places("cpu")), clips=1)
    assert float((ours.float() - film(clips=1).float()).abs().mean()) <= apart


def test_a_clip_does_not_hear_what_comes_later() -> None:
    """Only its own frames, and in each what is around it."""
    one, other = case.speech(2), case.speech(2)
    other[case.FRAMES :] += 1
    videos = [list(spoken(speech)) for speech in (one, other)]
    assert torch.equal(videos[0][0], videos[1][0])
    assert not torch.equal(videos[0][1], videos[1][1])


def spoken(
    speech: torch.Tensor, studio: Studio | None = None, **given: object
) -> Iterator[torch.Tensor]:
    """Frames of another speech."""
    return (studio or small_studio()).frames(
        case.portrait(), case.embedding(), regions(), speech, **{"steps": 2, "seed": 1, **given}
    )


def test_same_seed_same_bytes_and_other_seed_others() -> None:
    """Noise and dropped pixels are both of the seed, and of nothing else that is drawn."""
    first = film(seed=5)
    torch.rand(3)
    assert torch.equal(first, film(seed=5))
    assert not torch.equal(first, film(seed=6))


def test_memory_is_flat_from_2_clips_to_20() -> None:
    """All tensors that are alive, counted within every clip and after it."""
    studio, within, after = small_studio(), [], []
    small_networks()
    with counting() as alive:
        hook = small_networks().denoising_unet.conv_out.register_forward_hook(
            lambda *_: within.append(alive())
        )
        speech = case.speech(1).repeat(20, 1, 1, 1)
        made = studio.frames(case.portrait(), case.embedding(), regions(), speech, steps=1, seed=1)
        for clip in made:
            del clip
            after.append(alive())
        hook.remove()
    assert len(after) == len(within) == 20
    assert len(set(after[1:])) == 1
    assert len(set(within[1:])) == 1


def test_without_guidance_only_one_half_is_computed() -> None:
    """At a scale of 1; frames are others than with guidance."""
    rows: list[int] = []
    hook = small_networks().denoising_unet.conv_in.register_forward_hook(
        lambda _m, given, _o: rows.append(given[0].shape[0])
    )
    without = film(clips=1, cfg_scale=1.0, steps=2)
    led = film(clips=1, cfg_scale=2.0, steps=2)
    hook.remove()
    assert rows == [case.FRAMES] * 2 + [2 * case.FRAMES] * 2
    assert not torch.equal(without, led)


def test_halves_one_after_the_other_are_the_same_but_for_rounding() -> None:
    """And no more than one of them is computed at once."""
    rows: list[int] = []
    hook = small_networks().denoising_unet.conv_in.register_forward_hook(
        lambda _m, given, _o: rows.append(given[0].shape[0])
    )
    halved = film(small_studio(halved=True), steps=2)
    hook.remove()
    assert set(rows) == {case.FRAMES}
    assert (halved.int() - film(steps=2).int()).abs().max() <= 1


@pytest.mark.parametrize("region", range(3))
def test_each_scale_moves_its_region(region: int) -> None:
    """What is heard, of the pose, the face and the lips."""
    scales = [1.0, 1.0, 1.0]
    scales[region] = 0.0
    still, moved = (film(clips=1, motion_scales=s, steps=1) for s in (tuple(scales), (1.0,) * 3))
    assert not torch.equal(still, moved)


def test_a_feed_forward_network_takes_parts_of_the_rows() -> None:
    """With the same numbers."""
    whole, parts = Feed(8), Feed(8, most_tokens=12)
    parts.load_state_dict(whole.state_dict())
    x = filled("fed", (7, 5, 8))
    with torch.no_grad():
        assert torch.allclose(whole(x), parts(x), atol=1e-6)


def test_pixels_are_dropped_outside_the_face_alone() -> None:
    """A quarter of these, the same in both frames."""
    located, kept = case.located(), Chance(1, torch.float32).kept(case.SIDE, case.SIDE)
    left = with_dropped(torch.ones(2, 3, case.SIDE, case.SIDE), kept, located)
    assert left[:, located.bool()].min() == 1
    assert torch.equal(left[0], left[1])
    outside = left[0][~located.bool()]
    assert float(outside.mean()) == pytest.approx(0.75, abs=0.02)


def test_what_is_drawn_is_drawn_in_upstreams_order() -> None:
    """Which draws both of torch's own generator, seeded once."""
    generator = torch.Generator().manual_seed(9)
    chance = Chance(9, torch.float16)
    for _ in range(2):
        pixels = torch.rand(8, 8, generator=generator) > 0.25
        noise = torch.randn(1, 4, 16, 2, 2, generator=generator, dtype=torch.float16)
        assert torch.equal(chance.kept(8, 8), pixels)
        assert torch.equal(chance.noise(4, 16, 2, 2), noise[0].transpose(0, 1))


def test_frames_are_written_as_upstream_writes_them() -> None:
    """Cut off, not rounded; what is out of range is at its end."""
    values = torch.tensor([0.0, 0.999 / 255, 1 / 255, 0.5, 0.9999, 1.0, 1.2, -0.1])
    written = shown(values.reshape(1, 1, 1, -1).expand(1, 3, 1, -1))
    assert written[0, 0, :, 0].tolist() == [0, 0, 1, 127, 254, 255, 255, 0]


def test_the_first_step_begins_with_noise_alone() -> None:
    """The last timestep is among those that are taken, and nothing of a picture is left there."""
    steps = scheduler()
    steps.set_timesteps(40)
    assert steps.timesteps[0] == 999
    assert steps.timesteps[-1] == 24
    assert float(steps.alphas_cumprod[-1]) == pytest.approx(0, abs=1e-12)


SPOILED = {
    "portrait": {"portrait": torch.zeros(3, 60, 64)},
    "embedding": {"embedding": torch.zeros(1, 512)},
    "located": {"regions": replace(regions(), located=torch.zeros(1, 64, 64))},
    "places": {"regions": replace(regions(), lip=case.masks("lip")[:3])},
    "frames": {"speech": case.speech()[:-1]},
    "none": {"speech": case.speech()[:0]},
}


@pytest.mark.parametrize("name", SPOILED)
def test_other_shapes_are_refused_before_anything_is_computed(name: str) -> None:
    """When asked, and not with the first frame."""
    given = {
        "portrait": case.portrait(), "embedding": case.embedding(), "regions": regions(),
        "speech": case.speech(), **SPOILED[name],
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"not|located"):
        small_studio().frames(**given)


def test_numbers_that_are_none_are_told() -> None:
    """And not written as a black video."""
    portrait = case.portrait()
    portrait[0, 0, 0] = torch.nan
    made = small_studio().frames(portrait, case.embedding(), regions(), case.speech(), steps=1)
    with pytest.raises(FloatingPointError, match="NaN"):
        next(made)
