"""How large the networks are, and how many frames they see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

CLIP_FRAMES = 16
"""Frames that are made at once."""
MOTION_FRAMES = 2
"""Frames of the end of a clip that the next one continues."""
FPS = 25
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
