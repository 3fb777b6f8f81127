"""How many operations LiveAvatar's transformer takes, counted by torch on the meta device."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from live_avatar.dit import FLOAT32_PARTS, AvatarTransformer
from live_avatar.generation import BlockMaker, Conditions
from live_avatar.sizes import Grid, Sizes
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

REFERENCE = {0: 98.3e12, 1: 106.5e12, 2: 114.7e12, 3: 122.9e12, 4: 122.9e12}
"""Upstream's module at 704x384, one forward of a block; counted in the same way, with the text's
keys and values, which it computes again in every forward."""
REFERENCE_PREFILL = 70e12
"""Upstream does it four times."""


@dataclass(frozen=True)
class Flops:
    """Floating-point operations: `forward` of one step, `text` and `prefill` once a video."""

    forward: float
    text: float
    prefill: float


def counted(sizes: Sizes, grid: Grid, block: int) -> Flops:
    """All layers are alike: those of one are the difference of two layers and one."""
    one, two = (replace(sizes, layers=n, audio_layers=()) for n in (1, 2))
    ends, layer, injector = (
        _counts(one, grid, block),
        _counts(two, grid, block),
        _counts(replace(one, audio_layers=(0,)), grid, block),
    )
    totals = (
        alone + (sizes.layers - 1) * (second - alone) + len(sizes.audio_layers) * (heard - alone)
        for alone, second, heard in zip(ends, layer, injector, strict=True)
    )
    return Flops(*totals)


def on_meta(sizes: Sizes) -> AvatarTransformer:
    """The model in bfloat16, without memory."""
    with torch.device("meta"):
        model = AvatarTransformer(sizes).to(torch.bfloat16)
    for part in FLOAT32_PARTS:
        getattr(model, part).float()
    return model.requires_grad_(False).eval()


def _counts(sizes: Sizes, grid: Grid, block: int) -> tuple[float, float, float]:
    model = on_meta(sizes)
    maker = BlockMaker(model, grid)
    picture = (sizes.latent_channels, 1, grid.height, grid.width)
    text = _empty(20, sizes.text_dim)
    counter = FlopCounterMode(display=False)
    with counter:
        maker.start(Conditions(_empty(*picture), _empty(picture[0], 19, *picture[2:]), text))
    start = counter.get_total_flops()
    with counter:
        model.read(text)
    reading = counter.get_total_flops()
    sound = _empty(sizes.audio_states, 12, sizes.audio_dim)
    with counter:
        maker.make(block, _empty(picture[0], 3, *picture[2:]), sound, 10)
    return counter.get_total_flops() / 4, reading, start - reading


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.bfloat16, device="meta")
