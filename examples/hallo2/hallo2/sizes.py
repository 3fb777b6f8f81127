"""How large the networks are, and how many frames they see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

CLIP_FRAMES = 16
"""Frames that are made at once."""
MOTION_FRAMES = 2
"""Frames of the end of a clip that the next one continues."""
FPS = 25
MIDDLE_BLOCKS = 2
"""Of the encoder of faces, after those of its levels."""
HEARD_FRAMES, HEARD_LAYERS = 5, 12
"""What of the sound a frame hears: the states of wav2vec2's layers at itself and its neighbours."""


@dataclass(frozen=True)
class Sizes:
    """Defaults are those of the official checkpoint.

    channels: of each level of the UNets; heads: of the attention within a frame, and to the face
    and the sound; motion_heads, positions: of the attention between frames; identity: the face's
    embedding, as so many tokens; heard: channels of a state of wav2vec2; sound: of the tokens that
    are made of these.
    """

    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    heads: int = 8
    groups: int = 32
    eps: float = 1e-5
    latents: int = 4
    context: int = 768
    motion_heads: int = 8
    positions: int = 32
    embedding: int = 512
    identity_tokens: int = 4
    heard: int = 768
    sound_hidden: int = 512
    sound: int = 768
    sound_tokens: int = 32
    locator: tuple[int, ...] = (16, 32, 64, 128)

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Sizes:
        """From the UNet's `config.json` and, for what that does not say, the checkpoint's shapes.
        Raises KeyError where one of these is missing."""
        context = int(config["cross_attention_dim"])
        heard = tensors["audioproj.proj1.weight"]
        sound = tensors["audioproj.norm.weight"].shape[0]
        identity = tensors["imageproj.proj.weight"]
        channels = tuple(config["block_out_channels"])
        motion = "denoising_unet.mid_block.motion_modules.0.temporal_transformer"
        return cls(
            channels=channels,
            layers=config["layers_per_block"],
            heads=config["attention_head_dim"],
            groups=config["norm_num_groups"],
            eps=config["norm_eps"],
            latents=config["in_channels"],
            context=context,
            positions=tensors[
                f"{motion}.transformer_blocks.0.attention_blocks.0.pos_encoder.pe"
            ].shape[1],
            embedding=identity.shape[1],
            identity_tokens=identity.shape[0] // context,
            heard=heard.shape[1] // (HEARD_FRAMES * HEARD_LAYERS),
            sound_hidden=heard.shape[0],
            sound=sound,
            sound_tokens=tensors["audioproj.proj3.weight"].shape[0] // sound,
            locator=_locator(tensors),
        )

    @property
    def levels(self) -> int:
        """How often the sides are halved, and once more for the sides as they are."""
        return len(self.channels)


def _locator(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Channels: those of the first layer, and of every second one that follows."""
    first = tensors["face_locator.conv_in.weight"].shape[0]
    names = [n for n in tensors if n.startswith("face_locator.blocks.") and n.endswith("weight")]
    return (first, *(tensors[f"face_locator.blocks.{i}.weight"].shape[0]
                     for i in range(1, len(names), 2)))  # fmt: skip


@dataclass(frozen=True)
class RestorerSizes:
    """Of the network that restores faces. Defaults are those of the official checkpoint.

    channels: of each level, the whole picture first, each of half the sides of the one before;
    blocks: of a level; latent: channels of a code, of which there are `codes`; width, inner: of
    the transformer's tokens, and within its feed-forward networks; side: of the smallest level,
    a code for each of its places; fused: levels at which the generator is shown the encoder's
    picture, as faithful as is asked.
    """

    channels: tuple[int, ...] = (64, 128, 128, 256, 256, 512)
    blocks: int = 2
    latent: int = 256
    codes: int = 1024
    width: int = 512
    inner: int = 1024
    layers: int = 9
    heads: int = 8
    side: int = 16
    fused: tuple[int, ...] = (1, 2, 3, 4)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> RestorerSizes:
        """From the checkpoint's shapes, in which heads do not show. Raises KeyError or ValueError
        where they are of another network."""
        halvings = _numbers(tensors, "encoder.blocks.", ".conv.weight")
        convolutions = _numbers(tensors, "encoder.blocks.", ".conv1.weight")
        blocks = max(1, (len(convolutions) - MIDDLE_BLOCKS) // (len(halvings) + 1))
        channels = (tensors[f"encoder.blocks.{n}.conv1.weight"].shape[0] for n in convolutions)
        codes, latent = tensors["quantize.embedding.weight"].shape
        places, width = tensors["position_emb"].shape
        if not convolutions or width % cls.heads:
            raise ValueError(f"{len(convolutions)} blocks encode, and tokens are {width} wide")
        found = cls(
            channels=tuple(channels)[:-MIDDLE_BLOCKS:blocks],
            blocks=blocks,
            latent=latent,
            codes=codes,
            width=width,
            inner=tensors["ft_layers.0.linear1.weight"].shape[0],
            layers=len(_numbers(tensors, "ft_layers.", ".linear1.weight")),
            side=math.isqrt(places),
        )
        fused = (
            level
            for level in range(len(found.channels))
            if f"fuse_convs_dict.{found.pixels(level)}.scale.0.weight" in tensors
        )
        return replace(found, fused=tuple(fused))

    def pixels(self, level: int = 0) -> int:
        """Of a side of the picture at this level."""
        return self.side << (len(self.channels) - 1 - level)


def _numbers(tensors: Mapping[str, Tensor], before: str, after: str) -> list[int]:
    """That stand between these in names, in order."""
    names = (n for n in tensors if n.startswith(before) and n.endswith(after))
    return sorted(int(name[len(before) : -len(after)]) for name in names)
