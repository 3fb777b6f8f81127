"""What must hold however long the video is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import avatar_case as case
import pytest
import torch
from avatar_checkpoints import counting, small_model
from live_avatar.cache import Caches, CacheSizes, place_of
from live_avatar.conditions import Distances, reference_frame
from live_avatar.generation import Conditions, generate
from live_avatar.schedule import euler, sigmas, timesteps
from live_avatar.sizes import Grid, Sizes
from live_avatar.timeline import ClipNoise, audio_blocks, blocks_for, frames_of

SIZES = CacheSizes(layers=1, heads=1, head_dim=2, block=3, reference=2, motion=1)


def conditions() -> Conditions:
    """What a video is made from."""
    return Conditions(case.reference(), case.motion(), case.text())


def video(audio: torch.Tensor, seed: int = 7) -> list[torch.Tensor]:
    """The latents of all blocks."""
    return list(generate(small_model(), conditions(), audio_blocks(audio), seed=seed))


def test_noise_levels_are_the_four_that_were_distilled() -> None:
    """Upstream's scheduler shifts twice; these are its numbers."""
    assert sigmas(4).tolist() == pytest.approx([1, 0.857692, 0.602151, 0.00892857, 0], abs=1e-6)
    assert timesteps(4).tolist() == pytest.approx([1000, 857.692, 602.151, 8.92857], abs=1e-3)


def test_euler_arrives_at_the_clean_latents() -> None:
    """With the true velocity, noise minus clean, any number of steps ends at the clean ones."""
    clean, noise = torch.full((4,), 2.0), torch.full((4,), -1.0)
    for steps in (1, 4, 7):
        levels, x = sigmas(steps), noise
        for i in range(steps):
            x = euler(x, noise - clean, levels[i], levels[i + 1])
        assert torch.allclose(x, clean, atol=1e-5)


@pytest.mark.parametrize("step", [0, 1])
def test_a_ring_holds_the_last_four_blocks_beside_the_conditions(step: int) -> None:
    """Over 50 blocks: what a step sees is the conditions and the newest blocks, nothing else."""
    slots: list[object] = [None] * (2 * SIZES.ring + SIZES.conditions)
    slots[SIZES.ring : SIZES.ring + SIZES.conditions] = ["condition"] * SIZES.conditions
    for block in range(50):
        place = place_of(step, block, SIZES)
        slots[place.write] = [block] * SIZES.block
        seen = slots[place.see]
        assert len(slots) == 2 * SIZES.ring + SIZES.conditions
        newest = range(max(0, block - 3), block + 1)
        assert set(seen) == {"condition", *newest}
        assert len(seen) == SIZES.conditions + SIZES.block * len(newest)


def test_two_steps_share_the_conditions_and_nothing_else() -> None:
    """Their rings never overlap each other nor the conditions."""
    shared = set(range(SIZES.ring, SIZES.ring + SIZES.conditions))
    written = [
        {s for b in range(8) for s in range(100)[place_of(step, b, SIZES).write]} for step in (0, 1)
    ]
    assert not written[0] & written[1]
    assert not (written[0] | written[1]) & shared
    assert len(written[0]) == len(written[1]) == SIZES.ring


def test_caches_take_the_memory_that_is_said() -> None:
    """At 704x384 in bfloat16: four rings of 10.4 GB, the conditions twice; nothing is allocated."""
    grid, real = Grid(48, 88), Sizes()
    sizes = CacheSizes(
        real.layers, real.heads, real.head_dim,
        block=3 * grid.frame_tokens, reference=grid.frame_tokens, motion=3 * grid.frame_tokens // 2,
    )  # fmt: skip
    caches = Caches(sizes, torch.bfloat16, "meta")
    token = 2 * real.layers * real.dim * 2
    assert caches.nbytes == token * (4 * sizes.ring + 2 * sizes.conditions + grid.frame_tokens // 2)
    assert 46.2e9 < caches.nbytes < 46.4e9


def test_a_block_does_not_hear_what_comes_later() -> None:
    """Nor does it hear more of the past than is in its keys."""
    one, other = case.audio(6), case.audio(6)
    other[:, 4 * 12 :] += 1
    ours, theirs = video(one), video(other)
    assert all(torch.equal(a, b) for a, b in zip(ours[:4], theirs[:4], strict=True))
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(ours[4:], theirs[4:], strict=True))


def test_a_block_is_given_out_before_the_next_sound_is_asked_for() -> None:
    """So that a video can be watched while its sound is still spoken."""
    asked = []

    def spoken() -> Iterator[torch.Tensor]:
        for number, block in enumerate(audio_blocks(case.audio(5))):
            asked.append(number)
            yield block

    made = generate(small_model(), conditions(), spoken(), seed=1)
    for block, _ in enumerate(made):
        assert asked == list(range(block + 1))


def test_memory_is_flat_from_2_blocks_to_50() -> None:
    """All tensors that are alive, counted in the midst of every step and after every block."""
    model, within, after = small_model(), [], []
    endless = islice(iter(lambda: case.audio(1), None), 50)
    with counting() as alive:
        model.head.register_forward_hook(lambda *_: within.append(alive()))
        for _ in generate(model, conditions(), endless, seed=1):
            after.append(alive())
    assert len(after) == 50
    assert set(after[2:]) == {after[1]}
    steps_of_one, steps_of_last = within[4:8], within[-4:]
    assert steps_of_last == steps_of_one
    assert max(within) == max(within[:8])


def test_same_seed_same_latents_and_other_seed_others() -> None:
    """Noise and distances are both of the seed."""
    sound = case.audio(2)
    first, again, other = video(sound), video(sound), video(sound, seed=8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert (first[0] - other[0]).abs().max() > 0.1


def test_noise_of_a_clip_is_of_seed_and_clip() -> None:
    """As upstream draws it: twelve latent frames at once; blocks may be asked for in any order."""
    noise = ClipNoise(5, (16, 12, 8, 16))
    clip = torch.randn(16, 12, 8, 16, generator=torch.Generator().manual_seed(6))
    assert torch.equal(noise(7), clip[:, 9:])
    assert torch.equal(noise(4), clip[:, :3])


def test_the_reference_stands_still_and_then_moves_along() -> None:
    """It never comes nearer than 4 latent frames and stays within 30 of a block."""
    assert reference_frame(0, 4) == 30
    assert reference_frame(26, 4) == 30
    assert reference_frame(27, 4) == 31
    for block, distance in enumerate(islice(Distances(1), 2000)):
        assert 4 <= reference_frame(3 * block, distance) - 3 * block <= 30


def test_the_first_clip_has_45_frames_and_every_later_one_48() -> None:
    """And no frame is given twice or left out."""
    numbers = [n for block in range(40) for n in frames_of(block)]
    assert numbers == list(range(40 * 12 - 3))
    clips = [sum(len(frames_of(4 * c + b)) for b in range(4)) for c in range(10)]
    assert clips == [45] + [48] * 9


def test_audio_is_heard_to_its_end() -> None:
    """Frames that lack at the end are silence: zeros."""
    blocks = list(audio_blocks(torch.ones(25, 13, 4)))
    assert len(blocks) == blocks_for(13) == 2
    assert [b.shape for b in blocks] == [(25, 12, 4)] * 2
    assert blocks[1][:, :1].min() == 1
    assert blocks[1][:, 1:].abs().max() == 0


@pytest.mark.parametrize("sides", [(0, 8), (12, 8), (8, 100)])
def test_pictures_that_cannot_be_divided_are_refused(sides: tuple[int, int]) -> None:
    """Sides are multiples of 64 pixels."""
    with pytest.raises(ValueError, match="multiples of 64"):
        Grid(*sides)
