"""The denoising UNet: Stable Diffusion's, whose layers also see the portrait, the sound and the
other frames. Pictures of all frames are rows of one batch: first those without guidance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from hallo2.motion import Motion
from hallo2.sizes import Sizes
from hallo2.sound import Hearing, sounding
from hallo2.spatial import Memory, spatial
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditions:
    """What the denoising of a clip is led by, in halves: without guidance and with it, or only
    the one that is with it.

    identity: the face's tokens [halves, n, context]; sound: of each frame, [halves, frames, m,
    sound]; located: the locator's picture [1, channels, h, w]; memory: of each layer of the
    reference network; hearing: of each level; blind: halves without guidance.
    """

    identity: Tensor
    sound: Tensor
    located: Tensor
    memory: dict[str, Memory]
    hearing: tuple[Hearing, ...]
    blind: int

    @property
    def halves(self) -> int:
        """One or two."""
        return self.identity.shape[0]

    @property
    def frames(self) -> int:
        """Of each half."""
        return self.sound.shape[1]

    def split(self) -> Iterator[Conditions]:
        """Each half by itself."""
        for half in range(self.halves):
            own = slice(half, half + 1)
            yield replace(
                self,
                identity=self.identity[own],
                sound=self.sound[own],
                memory={n: Memory(m.portrait, m.motion[own]) for n, m in self.memory.items()},
                blind=int(half < self.blind),
            )


class Layers(nn.Module):
    """The layers of one level, on one side of the UNet.

    name: in the reference network; level: how often the sides are halved there; ins: channels that
    each residual block takes; inner: how wide each attention to the sound is (none: neither that
    nor any other attention is there, and the motion modules, which the checkpoint has, are not
    used: upstream's way through the network, the one for training, passes them by).
    """

    def __init__(
        self, sizes: Sizes, name: str, level: int, ins: list[int], inner: list[int], out: int
    ) -> None:
        super().__init__()
        self.name, self.level = name, level
        self.resnets = nn.ModuleList(residual(sizes, into, out) for into in ins)
        self.attentions = nn.ModuleList(spatial(out, sizes) for _ in inner)
        self.audio_modules = nn.ModuleList(sounding(out, width, sizes) for width in inner)
        self.motion_modules = nn.ModuleList(
            Motion(out, sizes) for _ in range(len(inner) or len(ins))
        )

    def attend(self, number: int, x: Tensor, given: Conditions) -> Tensor:
        """x: [halves * frames, channels, h, w]; where this level attends."""
        if number >= len(self.attentions):
            return x
        memory, frames = given.memory[f"{self.name}.attentions.{number}"], given.frames
        identity = given.identity.repeat_interleave(frames, 0)
        x = self.attentions[number](x, identity, memory, given.blind * frames)
        x = self.audio_modules[number](x, given.sound.flatten(0, 1), given.hearing[self.level])
        return self.motion_modules[number](x, memory.motion)


class DownLayers(Layers):
    """On the way down; every picture on it is kept for the way up."""

    def __init__(self, sizes: Sizes, level: int) -> None:
        out, last = sizes.channels[level], level == sizes.levels - 1
        ins = [sizes.channels[max(level - 1, 0)], *[out] * (sizes.layers - 1)]
        super().__init__(sizes, f"down_blocks.{level}", level, ins, [] if last else ins, out)
        self.downsamplers = nn.ModuleList([] if last else [Downsample2D(out, True, name="op")])

    def forward(self, x: Tensor, time: Tensor, given: Conditions) -> list[Tensor]:
        """Each layer's pictures, and the smaller ones at the end."""
        kept = []
        for number, resnet in enumerate(self.resnets):
            x = self.attend(number, resnet(x, time), given)
            kept.append(x)
        return [*kept, *(smaller(x) for smaller in self.downsamplers)]


class UpLayers(Layers):
    """On the way up, beside what was kept on the way down."""

    def __init__(self, sizes: Sizes, number: int) -> None:
        level = sizes.levels - 1 - number
        out, above = sizes.channels[level], sizes.channels[max(level - 1, 0)]
        below = sizes.channels[min(level + 1, sizes.levels - 1)]
        layers = sizes.layers + 1
        kept = [*[out] * (layers - 1), above]
        ins = [width + beside for width, beside in zip([below, *[out] * (layers - 1)], kept)]
        inner = [above] * layers if number else []
        super().__init__(sizes, f"up_blocks.{number}", level, ins, inner, out)
        self.upsamplers = nn.ModuleList([Upsample2D(out, True)] if level else [])

    def forward(self, x: Tensor, kept: list[Tensor], time: Tensor, given: Conditions) -> Tensor:
        """Takes as many of `kept` as it has layers, from the end."""
        for number, resnet in enumerate(self.resnets):
            x = self.attend(number, resnet(torch.cat([x, kept.pop()], 1), time), given)
        for larger in self.upsamplers:
            x = larger(x)
        return x


class MiddleLayers(Layers):
    """At the bottom."""

    def __init__(self, sizes: Sizes) -> None:
        width = sizes.channels[-1]
        super().__init__(sizes, "mid_block", sizes.levels - 1, [width] * 2, [width], width)

    def forward(self, x: Tensor, time: Tensor, given: Conditions) -> Tensor:
        """Of the same shape."""
        first, second = self.resnets
        return second(self.attend(0, first(x, time), given), time)


class DenoisingNetwork(nn.Module):
    """See the module."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        first = sizes.channels[0]
        self.conv_in = nn.Conv2d(sizes.latents, first, 3, padding=1)
        self.time_proj = Timesteps(first, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(first, 4 * first)
        levels = range(sizes.levels)
        self.down_blocks = nn.ModuleList(DownLayers(sizes, level) for level in levels)
        self.up_blocks = nn.ModuleList(UpLayers(sizes, number) for number in levels)
        self.mid_block = MiddleLayers(sizes)
        self.conv_norm_out = nn.GroupNorm(sizes.groups, first, eps=sizes.eps)
        self.conv_act = nn.SiLU()
        self.conv_out = nn.Conv2d(first, sizes.latents, 3, padding=1)

    def forward(self, latents: Tensor, timestep: Tensor, given: Conditions) -> Tensor:
        """Velocity of latents [halves * frames, channels, h, w]; timestep: of one number."""
        sines = self.time_proj(timestep.reshape(1)).to(latents.dtype)
        time = self.time_embedding(sines)
        x = self.conv_in(latents)
        x = torch.cat([x[: given.blind * given.frames], self._located(x, given)])
        kept = [x]
        for down in self.down_blocks:
            kept.extend(down(kept[-1], time, given))
        x = self.mid_block(kept[-1], time, given)
        for up in self.up_blocks:
            x = up(x, kept, time, given)
        return self.conv_out(self.conv_act(self.conv_norm_out(x)))

    def _located(self, x: Tensor, given: Conditions) -> Tensor:
        return x[given.blind * given.frames :] + given.located

    def leave_out_unused(self) -> None:
        """Give up the motion modules that are never asked."""
        for layers in (self.down_blocks[-1], self.up_blocks[0]):
            layers.motion_modules = nn.ModuleList()


def residual(sizes: Sizes, into: int, out: int) -> ResnetBlock2D:
    """Also sees the time."""
    return ResnetBlock2D(
        in_channels=into, out_channels=out, temb_channels=4 * sizes.channels[0],
        groups=sizes.groups, eps=sizes.eps,
    )  # fmt: skip
