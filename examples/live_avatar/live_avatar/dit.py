"""The network: a diffusion transformer that makes a block of latents from noise.

Names of modules and parameters are those of the official checkpoint, which is why some are odd.
Residuals, norms and modulation are computed in float32, everything that multiplies by large
weights in the weights' dtype.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from live_avatar.attention import Attention, KeyValue, attend
from live_avatar.audio import AudioInjector, CausalAudioEncoder, Heard
from live_avatar.conditions import FramePacker, tokens_of
from live_avatar.norms import modulated
from live_avatar.rope import Rotation, rotate
from live_avatar.sizes import Sizes
from live_avatar.streaming import StreamedLayers

FLOAT32_PARTS = ("time_embedding", "time_projection", "casual_audio_encoder", "head")
"""Small networks that compute in float32 whatever the checkpoint's dtype, as in training."""

NOISE, REFERENCE, MOTION = range(3)
"""Rows of `trainable_cond_mask`: what kind of token it is."""

PATCH = (1, 2, 2)

Exchange = Callable[[int, Tensor, KeyValue], Tensor]
"""(layer, query, new keys and values) -> what was attended to: where the caches come in."""


class Moment(NamedTuple):
    """A noise level: `embedding` [1, 1, dim] for the head, `modulation` [1, 6, dim] for blocks."""

    embedding: Tensor
    modulation: Tensor


class Block(nn.Module):
    """Self-attention, cross-attention to the text, and a feed-forward net.

    It is divided where the caches come in, so that each half can be compiled as a whole.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.eps = sizes.eps
        self.self_attn = Attention(sizes.dim, sizes.heads, sizes.eps)
        self.norm3 = nn.LayerNorm(sizes.dim, sizes.eps)
        self.cross_attn = Attention(sizes.dim, sizes.heads, sizes.eps)
        self.ffn = nn.Sequential(
            nn.Linear(sizes.dim, sizes.ffn_dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(sizes.ffn_dim, sizes.dim),
        )
        self.modulation = nn.Parameter(torch.zeros(1, 6, sizes.dim))

    def begin(self, x: Tensor, moment: Tensor) -> tuple[Tensor, KeyValue]:
        """Queries, and keys and values, of x [1, tokens, dim]; not turned to their positions."""
        shift, scale, *_ = (self.modulation + moment).chunk(6, 1)
        normed = modulated(x, shift, scale, self.eps)
        return self.self_attn.queries(normed), self.self_attn.keys_values(normed)

    def begin_turned(
        self, x: Tensor, moment: Tensor, rotation: Rotation
    ) -> tuple[Tensor, KeyValue]:
        """The same, turned to their positions in space and time."""
        query, new = self.begin(x, moment)
        return rotate(query, rotation), KeyValue(rotate(new.key, rotation), new.value)

    def finish(self, x: Tensor, attended: Tensor, moment: Tensor, text: KeyValue) -> Tensor:
        """The block's output [1, tokens, dim] from what self-attention found."""
        _, _, gate, shift, scale, last_gate = (self.modulation + moment).chunk(6, 1)
        y = x + self.self_attn.merged(attended) * gate
        query = self.cross_attn.queries(self.norm3(y.to(x.dtype)))
        y = y + self.cross_attn.merged(attend(query, text))
        y = y + self.ffn(modulated(y, shift, scale, self.eps).to(x.dtype)) * last_gate
        return y.to(x.dtype)


class Head(nn.Module):
    """From tokens to patches of velocity, in float32."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.eps = sizes.eps
        self.head = nn.Linear(sizes.dim, sizes.latent_channels * PATCH[1] * PATCH[2])
        self.modulation = nn.Parameter(torch.zeros(1, 2, sizes.dim))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[1, tokens, dim] to [1, tokens, patch values * channels]."""
        shift, scale = (self.modulation + embedding).chunk(2, 1)
        out: Tensor = self.head(modulated(x.float(), shift, scale, self.eps))
        return out


class AvatarTransformer(nn.Module):
    """CausalWanModel_S2V: the base model's network with LiveAvatar's way of attending."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        dim = sizes.dim
        self.patch_embedding = nn.Conv3d(sizes.latent_channels, dim, PATCH, PATCH)
        self.cond_encoder = nn.Conv3d(sizes.pose_channels, dim, PATCH, PATCH)
        self.text_embedding = nn.Sequential(
            nn.Linear(sizes.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(
            nn.Linear(sizes.time_dim, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.head = Head(sizes)
        self.casual_audio_encoder = CausalAudioEncoder(sizes)
        self.audio_injector = AudioInjector(sizes)
        self.trainable_cond_mask = nn.Embedding(3, dim)
        self.frame_packer = FramePacker(sizes.latent_channels, dim)
        self.streamed: StreamedLayers | None = None

    def stream(self, device: torch.device | str) -> None:
        """Let the blocks wait in the machine's memory from now on; all else is on the device."""
        self.streamed = StreamedLayers(self.blocks, device)

    @property
    def layers(self) -> Iterable[nn.Module]:
        """The blocks in order, each where it can compute while it is the one in turn."""
        return self.blocks if self.streamed is None else self.streamed

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of latents and caches."""
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.patch_embedding.weight.device

    def moment(self, timestep: float) -> Moment:
        """What all blocks are told of a noise level; there are only five, so this is kept."""
        waves = sinusoid(self.sizes.time_dim, torch.tensor([timestep]))
        embedding = self.time_embedding(waves.to(self.device))
        modulation = self.time_projection(embedding).unflatten(1, (6, -1))
        return Moment(embedding.unsqueeze(1), modulation)

    def read(self, text: Tensor) -> list[KeyValue]:
        """Keys and values of a text [tokens, text_dim] for each layer, once per video.

        It is filled up with zeros to `text_tokens`, and those are attended to, as in training.
        """
        padded = F.pad(text, (0, 0, 0, self.sizes.text_tokens - text.shape[0]))
        context = self.text_embedding(padded.to(self.device, self.dtype)).unsqueeze(0)
        return [block.cross_attn.keys_values(context) for block in self.layers]

    def hear(self, features: Tensor) -> list[Heard]:
        """What each injected layer hears of features [states, frames, audio_dim], per block."""
        whole, local = self.casual_audio_encoder.of_block(features.to(self.device, self.dtype))
        return self.audio_injector.hear(whole.to(self.dtype), local.to(self.dtype))

    def prefill(
        self,
        reference: Tensor,
        motion: Tensor,
        moment: Moment,
        text: list[KeyValue],
        exchange: Exchange,
    ) -> None:
        """Run reference [channels, 1, height, width] and motion [channels, 19, ...] through all
        layers, for `exchange` to keep their keys and values, which are not turned."""
        picture = tokens_of(self.patch_embedding(reference.unsqueeze(0)))
        packed = self.frame_packer(motion)
        kinds = self.trainable_cond_mask.weight
        x = torch.cat([picture + kinds[REFERENCE], packed + kinds[MOTION]], 1)
        for layer, block in enumerate(self.layers):
            query, new = block.begin(x, moment.modulation)
            x = block.finish(x, exchange(layer, query, new), moment.modulation, text[layer])

    def forward(
        self,
        latents: Tensor,
        moment: Moment,
        rotation: Rotation,
        text: list[KeyValue],
        heard: list[Heard],
        exchange: Exchange,
        pose: Tensor | None = None,
    ) -> Tensor:
        """The velocity of latents [channels, frames, height, width], in their shape.

        Without a pose the encoder of poses still adds its bias, as it did in training.
        """
        x = self.patch_embedding(latents.unsqueeze(0))
        if pose is None:
            x = x + self.cond_encoder.bias[:, None, None, None]
        else:
            x = x + self.cond_encoder(pose.unsqueeze(0))
        lattice = x.shape[2:]
        x = tokens_of(x) + self.trainable_cond_mask.weight[NOISE]
        injected = {layer: index for index, layer in enumerate(self.sizes.audio_layers)}
        for layer, block in enumerate(self.layers):
            query, new = block.begin_turned(x, moment.modulation, rotation)
            x = block.finish(x, exchange(layer, query, new), moment.modulation, text[layer])
            if layer in injected:
                index = injected[layer]
                x = x + self.audio_injector(x, index, heard[index])
        return unpatched(self.head(x, moment.embedding), lattice).to(latents.dtype)


def sinusoid(size: int, positions: Tensor) -> Tensor:
    """Cosines and sines of positions [n]: float32 [n, size], the angles in float64."""
    half = torch.arange(size // 2, dtype=torch.float64)
    angles = torch.outer(positions.double(), 10000.0 ** -(half / (size // 2)))
    return torch.cat([angles.cos(), angles.sin()], 1).float()


def unpatched(x: Tensor, lattice: tuple[int, ...]) -> Tensor:
    """[1, tokens, 2 * 2 * channels] to [channels, frames, height, width]."""
    frames, rows, columns = lattice
    patches = x[0].view(frames, rows, columns, PATCH[1], PATCH[2], -1)
    channels = patches.shape[-1]
    return patches.permute(5, 0, 1, 3, 2, 4).reshape(
        channels, frames, rows * PATCH[1], columns * PATCH[2]
    )
