"""The small networks, and the same as files in the layout of the official repository."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import hallo_case as case
import torch
from diffusers import AutoencoderKL
from filling import fill
from hallo2.generation import Regions, Studio
from hallo2.loading import Paths
from hallo2.network import Networks
from hallo2.offload import Places
from hallo2.reference import remember
from hallo2.sizes import Sizes
from hallo2.sound import Hearing
from hallo2.unet import Conditions

SIZES = Sizes(
    channels=tuple(case.UNET["block_out_channels"]), heads=2, groups=16, context=16,
    heard=case.HEARD, sound_hidden=case.SOUND_HIDDEN, sound=case.SOUND,
    sound_tokens=case.SOUND_TOKENS,
)  # fmt: skip


@cache
def small_networks() -> Networks:
    """Ours, filled as upstream's are."""
    networks = Networks(case.UNET, SIZES)
    fill(networks)
    return networks.eval().requires_grad_(False)


@cache
def small_vae() -> AutoencoderKL:
    """The same as upstream's."""
    vae = AutoencoderKL(**case.VAE)
    fill(vae)
    return vae.eval().requires_grad_(False)


def small_studio(**given: bool) -> Studio:
    """Of these, on the CPU."""
    return Studio(small_networks(), small_vae(), SIZES, Places("cpu"), **given)


def regions() -> Regions:
    """Of the portrait."""
    return Regions(case.located(), *(case.masks(name) for name in ("pose", "face", "lip")))


def conditions() -> Conditions:
    """What one step of the denoising network is led by, as upstream's was."""
    memory = remember(small_networks().reference_unet, case.pictures(), case.identity())
    levels = zip(*(case.masks(region) for region in ("pose", "face", "lip")), strict=True)
    hearing = tuple(Hearing(tuple(m[:, None] for m in masks), case.SCALES) for masks in levels)
    return Conditions(case.identity(), case.sound(), case.added(), memory, hearing, 1)


def frames(studio: Studio, clips: int = case.CLIPS, **given: object) -> Iterator[torch.Tensor]:
    """Of each clip, in as many steps as upstream's."""
    return studio.frames(
        case.portrait(), case.embedding(), regions(), case.speech(clips),
        **{"steps": case.STEPS, "motion_scales": case.SCALES, "seed": case.SEED, **given},
    )  # fmt: skip


def written(folder: Path) -> Paths:
    """In the layout of fudan-generative-ai/hallo2."""
    paths = Paths.of(folder)
    for place in (paths.net.parent, paths.unet):
        place.mkdir(parents=True)
    torch.save(small_networks().state_dict(), paths.net)
    (paths.unet / "config.json").write_text(json.dumps(case.UNET))
    small_vae().save_pretrained(paths.vae)
    return paths


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Gives the memory of all tensors made since that are alive, each storage once."""
    gc.collect()
    gc.freeze()

    def alive() -> int:
        gc.collect()
        storages = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for t in gc.get_objects()
            if issubclass(type(t), torch.Tensor) and not t.is_meta
        }
        return sum(storages.values())

    yield alive
    gc.unfreeze()
