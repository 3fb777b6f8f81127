"""What a frame hears moves its places: the background, the face and the lips each in its way."""

from __future__ import annotations

from dataclasses import dataclass

from hallo2.attention import Attention, Feed, PictureTransformer
from hallo2.sizes import Sizes
from torch import Tensor, nn


@dataclass(frozen=True)
class Hearing:
    """How much of what is heard each place takes, at one level: masks [places, 1] of the pose, the
    face and the lips, and a scale for each of them."""

    masks: tuple[Tensor, ...]
    scales: tuple[float, ...]


class SoundBlock(nn.Module):
    """Tokens [rows, places, dim].

    Three attentions to the same sound, each for a region, through a layer that began as zeros.
    `full` is upstream's name of what moves the pose.
    """

    def __init__(self, dim: int, sizes: Sizes) -> None:
        super().__init__()
        head_dim = dim // sizes.heads

        def to_sound() -> Attention:
            return Attention(dim, sizes.heads, head_dim, sizes.sound)

        self.norm1, self.attn1 = nn.LayerNorm(dim), Attention(dim, sizes.heads, head_dim)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2_0, self.attn2_1, self.attn2_2 = to_sound(), to_sound(), to_sound()
        self.zero_conv_full, self.zero_conv_face, self.zero_conv_lip = (
            nn.Conv2d(dim, dim, 1) for _ in range(3)
        )
        self.norm3, self.ff = nn.LayerNorm(dim), Feed(dim)

    def forward(self, x: Tensor, sound: Tensor, hearing: Hearing) -> Tensor:
        """sound: [rows, tokens, sound]."""
        x = x + self.attn1(self.norm1(x))
        asked = self.norm2(x)
        for region, mask, scale in zip(self._regions(), hearing.masks, hearing.scales):
            attention, leaving = region
            x = x + scale * _pointwise(leaving, attention(asked, sound) * mask)
        return x + self.ff(self.norm3(x))

    def _regions(self) -> tuple[tuple[Attention, nn.Conv2d], ...]:
        """In the order of the masks."""
        return (
            (self.attn2_0, self.zero_conv_full),
            (self.attn2_1, self.zero_conv_face),
            (self.attn2_2, self.zero_conv_lip),
        )


def _pointwise(conv: nn.Conv2d, tokens: Tensor) -> Tensor:
    """A convolution of one pixel needs no sides: the tokens are a column."""
    return conv(tokens.transpose(1, 2).unsqueeze(-1)).squeeze(-1).transpose(1, 2)


def sounding(channels: int, inner: int, sizes: Sizes) -> PictureTransformer:
    """For pictures of so many channels; upstream makes some narrower within."""
    return PictureTransformer(channels, inner, sizes.groups, SoundBlock(inner, sizes))
