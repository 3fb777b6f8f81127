"""The same weights in upstream's code and in ours give the same numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import hallo_case as case
import numpy as np
import pytest
import torch
from hallo2.loading import load
from hallo2.network import Networks
from hallo2.reference import remember
from hallo2.sizes import Sizes
from hallo2.spatial import Memory
from hallo_checkpoints import conditions, frames, small_networks, small_studio, written


def golden(name: str) -> dict[str, torch.Tensor]:
    """Upstream's numbers."""
    with np.load(case.GOLDEN / f"{name}.npz") as arrays:
        return {k: torch.from_numpy(v) for k, v in arrays.items() if v.dtype.kind in "fu"}


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest absolute difference."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@torch.no_grad()
def test_the_reference_network_sees_what_upstreams_sees() -> None:
    """Every layer of it, of the portrait and of the frames before, in both halves."""
    ours = remember(small_networks().reference_unet, case.pictures(), case.identity())
    theirs = golden("reference")
    assert ours.keys() == theirs.keys()
    for name, seen in theirs.items():
        pictures = seen.unflatten(0, (2, 3))
        assert apart(ours[name].portrait[:, ::3], pictures[:, 0]) <= 1e-4, name
        assert apart(ours[name].motion[:, :, ::3], pictures[:, 1:]) <= 1e-4, name


@torch.no_grad()
def test_every_other_network_agrees() -> None:
    """Each alone, and the denoising one with all that it reads, within 1e-4 in float32."""
    theirs, networks = golden("networks"), small_networks()
    moving = case.moving()
    motion = networks.denoising_unet.down_blocks[1].motion_modules[0]
    latents = case.noise().transpose(1, 2).flatten(0, 1)
    velocity = networks.denoising_unet(latents, torch.tensor(517), conditions())
    ours = {
        "identity": networks.imageproj(case.embedding()[None]),
        "sound": networks.audioproj(case.speech()[:3]),
        "located": networks.face_locator(case.located()[None]),
        "moved": motion(moving[2:], moving[:2].flatten(2).transpose(1, 2)[None]),
        "velocity": velocity.unflatten(0, (2, -1)).transpose(1, 2),
    }
    assert ours.keys() == theirs.keys()
    assert {name: apart(ours[name], theirs[name]) for name in ours} == pytest.approx(
        dict.fromkeys(ours, 0), abs=1e-4
    )


def test_two_clips_agree_with_upstreams_script() -> None:
    """Its own loop, with its own seed: which pixels are dropped, the noise, and what the second
    clip takes over from the first."""
    made = torch.cat(list(frames(small_studio())))[:, ::2, ::2]
    assert apart(made.int(), golden("video")["frames"].int()) <= 1


def test_two_clips_agree_from_a_checkpoint(tmp_path: Path) -> None:
    """Read from files of the official layout, halves of the guidance one after the other."""
    studio = load(written(tmp_path), halved=True)
    made = torch.cat(list(frames(studio)))[:, ::2, ::2]
    assert apart(made.int(), golden("video")["frames"].int()) <= 1


def test_names_and_shapes_are_the_official_ones() -> None:
    """At the real size, so that a checkpoint loads strictly; sizes are read off its shapes."""
    official = json.loads(gzip.decompress((case.GOLDEN / "state_dict.json.gz").read_bytes()))
    with torch.device("meta"):
        networks = Networks(case.REAL_UNET, Sizes())
    ours = networks.state_dict()
    assert {n: list(t.shape) for n, t in ours.items()} == official
    assert Sizes.of(case.REAL_UNET, ours) == Sizes()


def test_golden_numbers_are_of_one_commit() -> None:
    """And say which files of it were run."""
    for name in ("networks", "reference", "video"):
        path = case.GOLDEN / f"{name}.npz"
        with np.load(path) as arrays:
            origin = json.loads(str(arrays["origin"]))
        assert origin["commit"] == "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"
        assert "hallo/models/unet_3d.py" in origin["sha256"]
        assert path.stat().st_size < 200_000


def test_memory_without_guidance_is_of_one_half() -> None:
    """Then the portrait's tokens are those of every picture."""
    seen = remember(small_networks().reference_unet, case.pictures(), case.identity()[1:])
    assert all(isinstance(m, Memory) and m.motion.shape[0] == 1 for m in seen.values())
