"""The same weights in upstream's code and in ours give the same numbers."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path

import avatar_case as case
import numpy as np
import pytest
import torch
from avatar_checkpoints import small_model, written
from filling import filled
from live_avatar.cache import place_of
from live_avatar.conditions import Distances, starting_rotation
from live_avatar.dit import AvatarTransformer, sinusoid
from live_avatar.fp8 import Float8Linear, quantized, use_float8
from live_avatar.generation import BlockMaker, Conditions, generate
from live_avatar.loading import load_transformer
from live_avatar.rope import Rotary, joined, rotate
from live_avatar.sizes import Grid, Sizes
from live_avatar.timeline import audio_blocks

GRID = Grid(case.HEIGHT, case.WIDTH)


def golden(name: str) -> dict[str, torch.Tensor]:
    """Upstream's numbers."""
    with np.load(case.GOLDEN / f"{name}.npz") as arrays:
        return {k: torch.from_numpy(v) for k, v in arrays.items() if v.dtype.kind == "f"}


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest absolute difference."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


def conditions() -> Conditions:
    """What the compared video is made from."""
    return Conditions(case.reference(), case.motion(), case.text())


def noise(block: int) -> torch.Tensor:
    """The noise of one block."""
    clip, place = divmod(block, case.CLIP_BLOCKS)
    return case.noise(clip)[:, 3 * place : 3 * place + 3]


@torch.no_grad()
def test_every_network_agrees() -> None:
    """Alone, each within 1e-4 in float32."""
    theirs, model = golden("networks"), small_model()
    whole, local = model.casual_audio_encoder.of_block(case.audio(1))
    tokens = filled("tokens", (1, 3 * case.TOKENS, model.sizes.dim))
    embedding = model.time_embedding(sinusoid(32, torch.tensor([857.6923, 0.0])))
    ours = {
        "audio_global": whole,
        "audio_local": local,
        "packed": model.frame_packer(case.motion())[0],
        "embedding": embedding,
        "modulation": model.time_projection(embedding),
        "head": model.head(tokens, embedding[:1].unsqueeze(1)),
        "text": model.text_embedding(case.text()),
    }
    assert ours.keys() == theirs.keys()
    assert {name: apart(ours[name], theirs[name]) for name in ours} == pytest.approx(
        dict.fromkeys(ours, 0), abs=1e-4
    )


def test_prefill_caches_and_velocity_agree() -> None:
    """With a pose: keys and values of the conditions and of a block, and what comes out."""
    theirs, model = golden("block"), small_model()
    maker = BlockMaker(model, GRID, steps=1)
    maker.start(conditions())
    latents = maker.make(0, noise(0), case.audio(1), 4, case.pose(0)[:, :3])
    place, ring = place_of(0, 0, maker._sizes), maker._sizes.ring
    keys, values = maker.caches._slots[0]
    ours = {
        # One step of Euler goes from noise 1 to 0: what is left is noise - velocity.
        "velocity": noise(0) - latents,
        "turned": keys[:, ring:][:, ::3],
        "condition_values": values[:, ring:][:, ::5],
        "keys": keys[:, place.write][:, ::3],
        "values": values[:, place.write][:, ::5],
    }
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert apart(ours[name], theirs[name]) <= 1e-4, name


@pytest.mark.parametrize("first", [0, 57, 40_000])
def test_float32_rotation_agrees_with_complex_float64(first: int) -> None:
    """At the real size of a head, also two hours into a video."""
    x = filled("rotated", (1, 3 * case.TOKENS, 2, 128))
    turned = rotate(x, Rotary(128, GRID, "cpu").frames(range(first, first + 3)))
    kept = turned[:, :: case.TOKENS // 4]
    assert apart(kept, golden("rope")[f"frames_{first}"]) <= 1e-6


@pytest.mark.parametrize("moved", [0, 45])
def test_conditions_turn_as_upstream_turns_them(moved: int) -> None:
    """The reference moves along; the motion frames stay, on grids two and four times as coarse."""
    rotary = Rotary(128, GRID, "cpu")
    start = starting_rotation(rotary)
    rest = type(start)(*(part[case.TOKENS :] for part in start))
    x = filled("conditions", (1, 5 * case.TOKENS // 2, 2, 128))
    turned = rotate(x, joined(rotary.frames([30 + moved]), rest))
    assert apart(turned[:, ::5], golden("rope")[f"conditions_{moved}"]) <= 1e-6


def test_two_clips_agree_with_upstreams_pipeline() -> None:
    """Eight blocks of four steps, in which every ring is written twice over."""
    made = generate(
        small_model(), conditions(), audio_blocks(case.audio()), seed=1, noise=noise,
        distances=case.DISTANCES,
    )  # fmt: skip
    assert apart(torch.cat(list(made), 1), golden("generation")["latents"]) <= 1e-4


def test_two_clips_agree_from_a_checkpoint_with_lora_poses_and_adaptive_sink(
    tmp_path: Path,
) -> None:
    """Upstream merges through peft and takes the made frame after the first clip."""
    model = load_transformer(*written(tmp_path), lora_alpha=case.LORA_ALPHA, dtype=torch.float32)
    poses = [case.pose(c)[:, 3 * b : 3 * b + 3] for c in range(2) for b in range(4)]
    made = generate(
        model, conditions(), audio_blocks(case.audio()), seed=1, noise=noise,
        distances=case.DISTANCES, poses=poses, adaptive_sink=True,
    )  # fmt: skip
    latents = torch.cat(list(made), 1)[:, :, :, ::2]
    assert apart(latents, golden("adaptive")["latents"]) <= 1e-4


def test_names_and_shapes_are_the_official_ones() -> None:
    """At the real size, so that a checkpoint loads strictly."""
    official = json.loads(gzip.decompress((case.GOLDEN / "state_dict.json.gz").read_bytes()))
    with torch.device("meta"):
        model = AvatarTransformer(Sizes())
    assert {n: list(t.shape) for n, t in model.state_dict().items()} == official


def test_float8_quantizes_the_same_layers_to_the_same_numbers() -> None:
    """Exactly: both round to one of 256 values."""
    theirs, model = golden("float8"), small_model()
    for name, scale in (("large", 30.0), ("small", 0.02)):
        held, reciprocal = quantized(filled(f"float8 {name}", (32, 48), scale))
        assert torch.equal(held.float(), theirs[name])
        assert reciprocal == theirs[f"{name}_scale"]
    use_float8(model)
    ours = sorted(n for n, m in model.named_modules() if isinstance(m, Float8Linear))
    with np.load(case.GOLDEN / "float8.npz") as arrays:
        assert ours == arrays["layers"].tolist()


def test_distances_are_upstreams() -> None:
    """Between 4 and 30, both included, each of them drawn; decided by the seed."""
    drawn = list(islice(Distances(3), 2000))
    assert set(drawn) == set(range(4, 31))
    assert drawn == list(islice(Distances(3), 2000))
    assert drawn != list(islice(Distances(4), 2000))
