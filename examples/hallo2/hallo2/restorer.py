"""A face in frames that follow each other, drawn anew out of a learnt book: CodeFormer, which sees
each place in all frames too."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from hallo2.codebook import Codebook, Encoder, Fusing, Generator, Residual
from hallo2.sizes import RestorerSizes
from torch import Tensor, nn

SLOPE = 0.2
"""Of what is below zero."""
EPS = 1e-5


class FaceRestorer(nn.Module):
    """Frames are encoded and drawn one by one, so that memory does not grow with their number but
    for the faces themselves and their codes."""

    def __init__(self, sizes: RestorerSizes) -> None:
        super().__init__()
        self.pixels = sizes.pixels()
        self.encoder = Encoder(sizes)
        self.quantize = Codebook(sizes)
        self.generator = Generator(sizes)
        self.position_emb = nn.Parameter(torch.zeros(sizes.side**2, sizes.width))
        self.feat_emb = nn.Linear(sizes.latent, sizes.width)
        self.ft_layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))
        self.idx_pred_layer = nn.Sequential(
            nn.LayerNorm(sizes.width), nn.Linear(sizes.width, sizes.codes, bias=False)
        )
        self.fuse_convs_dict = nn.ModuleDict(
            {str(sizes.pixels(level)): Fusion(sizes.channels[level]) for level in sizes.fused}
        )
        self._fused = sizes.fused

    def forward(self, faces: Tensor, fidelity: float) -> Tensor:
        """[frames, 3, pixels, pixels] of one face in successive frames, -1 to 1 -> the same shape.

        fidelity: 0, all is of the book, to 1, as much like what was shown as it can be.
        """
        latents = torch.cat([self.encoder(face) for face in faces.split(1)])
        drawn = toned(self.quantize(self.codes(latents)), latents)
        restored = torch.empty_like(faces)
        for number, face in enumerate(faces.split(1)):
            fusions = self._fusions(face, fidelity) if fidelity > 0 else {}
            restored[number] = self.generator(drawn[number : number + 1], fusions)[0]
        return restored

    def codes(self, latents: Tensor) -> Tensor:
        """Of each place of each frame [frames, latent, side, side], [frames, places]."""
        tokens = self.feat_emb(latents.flatten(2).transpose(1, 2))
        for layer in self.ft_layers:
            tokens = layer(tokens, self.position_emb)
        return self.idx_pred_layer(tokens).argmax(-1)

    def _fusions(self, face: Tensor, fidelity: float) -> Mapping[int, Fusing]:
        """By level. The encoder's levels are computed again: kept since the first time, they would
        be 47 MB a frame in float32."""
        levels = self.encoder.levels(face)
        return {
            level: partial(self.fuse_convs_dict[str(seen.shape[-1])], seen, fidelity)
            for level, seen in zip(range(max(self._fused, default=-1) + 1), levels, strict=False)
            if level in self._fused
        }


class Layer(nn.Module):
    """Tokens [frames, places, width]: those of a frame see each other, then those of a place."""

    def __init__(self, sizes: RestorerSizes) -> None:
        super().__init__()
        width, heads, inner = sizes.width, sizes.heads, sizes.inner
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.temp_norm = nn.LayerNorm(width)
        self.temp_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.temp_ffn_norm = nn.LayerNorm(width)
        self.temp_linear1 = nn.Linear(width, inner)
        self.temp_linear2 = nn.Linear(inner, width)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Of the same shape. positions: [places, width]; frames have none."""
        x = x + attended(self.self_attn, self.norm1(x), positions)
        x = x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        places = self.temp_norm(x).transpose(0, 1)
        x = x + attended(self.temp_attn, places, positions[:, None]).transpose(0, 1)
        return x + self.temp_linear2(F.gelu(self.temp_linear1(self.temp_ffn_norm(x))))


def attended(attention: nn.MultiheadAttention, x: Tensor, positions: Tensor) -> Tensor:
    """[rows, n, width] of the same, the rows apart from each other."""
    placed = x + positions
    seen: Tensor = attention(placed, placed, x, need_weights=False)[0]
    return seen


class Fusion(nn.Module):
    """What the encoder saw changes what is drawn, both [n, channels, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc = Residual(2 * channels, channels)
        self.scale = convolutions(channels)
        self.shift = convolutions(channels)

    def forward(self, seen: Tensor, fidelity: float, drawn: Tensor) -> Tensor:
        """Of the same shape."""
        both = self.encode_enc(torch.cat([seen, drawn], dim=1))
        return drawn + fidelity * (drawn * self.scale(both) + self.shift(both))


def convolutions(channels: int) -> nn.Sequential:
    """Two, of [n, channels, h, w]."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


def toned(drawn: Tensor, shown: Tensor) -> Tensor:
    """With the mean and deviation that each channel of a frame has in what was shown (AdaIN)."""
    (spread, mean), (target, level) = (
        torch.var_mean(x, dim=(2, 3), keepdim=True) for x in (drawn, shown)
    )
    return (drawn - mean) * ((target + EPS) / (spread + EPS)).sqrt() + level
