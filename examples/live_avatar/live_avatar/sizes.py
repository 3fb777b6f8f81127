"""Every size of the model, and of the picture it works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """The defaults are those of Wan2.2-S2V-14B, the model that LiveAvatar's LoRA was trained on."""

    dim: int = 5120
    heads: int = 40
    layers: int = 40
    ffn_dim: int = 13824
    latent_channels: int = 16
    pose_channels: int = 16
    text_dim: int = 4096
    text_tokens: int = 512
    time_dim: int = 256
    audio_dim: int = 1024
    audio_states: int = 25
    audio_tokens: int = 4
    audio_layers: tuple[int, ...] = (0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39)
    eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Sizes:
        """The sizes in a checkpoint's config.json.

        Raises ValueError where the checkpoint is of a variant that this code does not compute.
        """
        for key, expected in _VARIANT.items():
            if config.get(key, expected) != expected:
                raise ValueError(f"config.json says {key}={config[key]!r}, not {expected!r}")
        given = {ours: config[theirs] for theirs, ours in _NAMES.items() if theirs in config}
        given["audio_layers"] = tuple(given.get("audio_layers", cls.audio_layers))
        return cls(**given)


_VARIANT = {
    "model_type": "s2v",
    "enable_adain": True,
    "adain_mode": "attn_norm",
    "zero_timestep": True,
    "enable_motioner": False,
    "enable_tsm": False,
    "enable_framepack": True,
    "framepack_drop_mode": "padd",
    "add_last_motion": True,
    "trainable_token_pos_emb": False,
}
"""What upstream's class can be told and the checkpoint is told."""

_NAMES = {
    "dim": "dim",
    "num_heads": "heads",
    "num_layers": "layers",
    "ffn_dim": "ffn_dim",
    "in_dim": "latent_channels",
    "cond_dim": "pose_channels",
    "text_dim": "text_dim",
    "text_len": "text_tokens",
    "freq_dim": "time_dim",
    "audio_dim": "audio_dim",
    "num_audio_token": "audio_tokens",
    "audio_inject_layers": "audio_layers",
    "eps": "eps",
}


@dataclass(frozen=True)
class Grid:
    """The picture: `height` x `width` of its latents (an eighth of the pixels).

    A token is 2x2 latents. Both must be multiples of 8, for the oldest motion frames are packed in
    patches of 8x8.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height % 8 or self.width % 8 or min(self.height, self.width) < 8:
            raise ValueError(
                f"{8 * self.height}x{8 * self.width}: a picture's sides must be multiples of 64"
            )

    @property
    def rows(self) -> int:
        """Tokens from top to bottom."""
        return self.height // 2

    @property
    def columns(self) -> int:
        """Tokens from left to right."""
        return self.width // 2

    @property
    def frame_tokens(self) -> int:
        """Tokens of one latent frame: 1056 at 704x384."""
        return self.rows * self.columns
