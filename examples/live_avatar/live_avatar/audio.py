"""From wav2vec2's states to what the picture hears."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from live_avatar.attention import Attention, KeyValue, attend
from live_avatar.norms import modulated
from live_avatar.sizes import Sizes

ADALN_EPS = 1e-5
ENCODER_EPS = 1e-6


class Heard(NamedTuple):
    """What one layer hears of a block: its frames are the batch of `tokens` (keys and values of 5
    tokens each); `shift` and `scale` are [frames, 1, dim]."""

    tokens: KeyValue
    shift: Tensor
    scale: Tensor


class CausalConv1d(nn.Module):
    """A convolution over time that sees only the past; before the start, the first frame stands."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, kernel_size=3, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, frames] to [batch, channels, frames / stride]."""
        out: Tensor = self.conv(F.pad(x, (2, 0), mode="replicate"))
        return out


class TemporalEncoder(nn.Module):
    """Four frames of audio to one latent frame: some local tokens and a global one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        quarter, half = sizes.dim // 4, sizes.dim // 2
        self.local_tokens = sizes.audio_tokens
        self.conv1_local = CausalConv1d(sizes.audio_dim, quarter * sizes.audio_tokens)
        self.conv1_global = CausalConv1d(sizes.audio_dim, quarter)
        self.conv2 = CausalConv1d(quarter, half, stride=2)
        self.conv3 = CausalConv1d(half, sizes.dim, stride=2)
        self.final_linear = nn.Linear(sizes.dim, sizes.dim)
        self.padding_tokens = nn.Parameter(torch.zeros(1, 1, 1, sizes.dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[1, frames, audio_dim] to [latents, dim] and [latents, local_tokens + 1, dim]."""
        x = x.transpose(1, 2)
        whole = self.final_linear(self._compressed(self.conv1_global(x)))[0]
        voices = self.conv1_local(x).unflatten(1, (self.local_tokens, -1))[0]
        local = self._compressed(voices).transpose(0, 1)
        padding = self.padding_tokens[0].expand(local.shape[0], -1, -1)
        return whole, torch.cat([local, padding], 1)

    def _compressed(self, x: Tensor) -> Tensor:
        """[n, dim / 4, frames] to [n, latents, dim], with a norm after each convolution."""
        x = self.conv2(_normed(x))
        x = self.conv3(_normed(x))
        return _normed(x).transpose(1, 2)


class CausalAudioEncoder(nn.Module):
    """Mixes the states of all layers of wav2vec2 by learned weights, then compresses time."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = TemporalEncoder(sizes)
        self.weights = nn.Parameter(torch.full((1, sizes.audio_states, 1, 1), 0.01))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """[states, frames, audio_dim] to the global token and the local ones of each latent frame.

        One frame more than four per latent frame is expected in front; see `of_block`.
        """
        weights = F.silu(self.weights.float())[0]
        mixed = (states.float() * weights / weights.sum()).sum(0, keepdim=True)
        tokens: tuple[Tensor, Tensor] = self.encoder(mixed)
        return tokens

    def of_block(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """A block's tokens: [latents, dim] and [latents, local_tokens + 1, dim].

        A block hears nothing of the blocks before it: in their place stands its own first frame.
        Upstream repeats that 73 times and drops the 19 latent frames of it; one repetition gives
        the same numbers, for the padding repeats it too and 1 = 73 (mod 4).
        """
        whole, local = self(torch.cat([states[:, :1], states], 1))
        return whole[1:], local[1:]


class AdaLayerNorm(nn.Module):
    """Shift and scale from the global audio token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 2 * dim)

    def forward(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        """[frames, dim] to two of [frames, 1, dim]."""
        shift, scale = self.linear(F.silu(whole)).unsqueeze(1).chunk(2, -1)
        return shift, scale


class AudioInjector(nn.Module):
    """Cross-attention of each latent frame to its own audio tokens, after some of the layers."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.injector = nn.ModuleList(
            Attention(sizes.dim, sizes.heads, ENCODER_EPS) for _ in sizes.audio_layers
        )
        self.injector_adain_layers = nn.ModuleList(
            AdaLayerNorm(sizes.dim) for _ in sizes.audio_layers
        )
        self.listen = listen

    def hear(self, whole: Tensor, local: Tensor) -> list[Heard]:
        """All that depends on the audio alone, once per block: an entry for each injected layer."""
        return [
            Heard(attention.keys_values(local), *norm(whole))
            for attention, norm in zip(self.injector, self.injector_adain_layers)
        ]

    def forward(self, x: Tensor, index: int, heard: Heard) -> Tensor:
        """What the picture x [1, tokens, dim] hears at the index-th injected layer, to be added."""
        return self.listen(self.injector[index], x, heard)


def listen(attention: Attention, x: Tensor, heard: Heard) -> Tensor:
    """Each frame of x [1, tokens, dim] attends to its own audio tokens."""
    frames = x.unflatten(1, (heard.shift.shape[0], -1))[0]
    query = attention.queries(modulated(frames, heard.shift, heard.scale, ADALN_EPS))
    out = attention.merged(attend(query, heard.tokens))
    return out.flatten(0, 1).unsqueeze(0)


def _normed(x: Tensor) -> Tensor:
    """SiLU of a norm over the channels of [n, channels, frames]."""
    channels_last = x.transpose(1, 2)
    normed = F.layer_norm(channels_last, channels_last.shape[-1:], eps=ENCODER_EPS)
    return F.silu(normed).transpose(1, 2)
