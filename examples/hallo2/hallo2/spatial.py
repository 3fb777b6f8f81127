"""Within a frame: its places see each other, the portrait's, and the tokens of the face."""

from __future__ import annotations

from dataclasses import dataclass

from hallo2.attention import Attention, Feed, PictureTransformer, ReadingAttention
from hallo2.sizes import Sizes
from torch import Tensor, nn


@dataclass(frozen=True)
class Memory:
    """What one layer of the reference network saw, after its first norm.

    portrait: of each half, [halves, places, channels]; motion: of the frames before, [halves,
    frames, places, channels]. A half is all frames without guidance, or all with it.
    """

    portrait: Tensor
    motion: Tensor


class SpatialBlock(nn.Module):
    """Tokens [rows, places, dim]."""

    def __init__(self, dim: int, sizes: Sizes) -> None:
        super().__init__()
        head_dim = dim // sizes.heads
        self.norm1, self.attn1 = nn.LayerNorm(dim), ReadingAttention(dim, sizes.heads, head_dim)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = Attention(dim, sizes.heads, head_dim, sizes.context)
        self.norm3, self.ff = nn.LayerNorm(dim), Feed(dim)

    def forward(self, x: Tensor, identity: Tensor, memory: Memory, blind: int) -> Tensor:
        """identity: the face's tokens [rows, n, context]; the first `blind` rows are without
        guidance and do not see the portrait; the others see the halves' portraits in turn, as
        upstream's do (one would expect: all of them that of their own half)."""
        x = x + self.attn1(self.norm1(x), memory.portrait, blind)
        x = x + self.attn2(self.norm2(x), identity)
        return x + self.ff(self.norm3(x))


def spatial(channels: int, sizes: Sizes) -> PictureTransformer:
    """For pictures of so many channels."""
    return PictureTransformer(channels, channels, sizes.groups, SpatialBlock(channels, sizes))
