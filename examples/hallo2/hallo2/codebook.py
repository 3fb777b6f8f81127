"""Pictures as codes of a learnt book: encoder, book and generator, with a VQGAN's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch.nn.functional as F
from hallo2.sizes import RestorerSizes
from torch import Tensor, nn

GROUPS = 32
"""Of each norm's channels, or as many of them as divide these."""
COLOURS = 3

Fusing = Callable[[Tensor], Tensor]


class Encoder(nn.Module):
    """A picture [n, 3, h, w] to what it is at each of its places, [n, latent, h', w']."""

    def __init__(self, sizes: RestorerSizes) -> None:
        super().__init__()
        first, last = sizes.channels[0], sizes.channels[-1]
        blocks: list[nn.Module] = [nn.Conv2d(COLOURS, first, 3, padding=1)]
        self._ends, before = [], first
        for level, channels in enumerate(sizes.channels):
            if level > 0:
                blocks.append(Halving(before))
            blocks += level_blocks(before, channels, sizes, level)
            self._ends.append(len(blocks))
            before = channels
        blocks += [*middle(last), norm(last), nn.Conv2d(last, sizes.latent, 3, padding=1)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """See above."""
        for block in self.blocks:
            x = block(x)
        return x

    def levels(self, x: Tensor) -> Iterator[Tensor]:
        """[n, channels, h, w] as each level leaves it, the largest first. Nothing is computed
        that was not asked for."""
        done = 0
        for end in self._ends:
            for block in self.blocks[done:end]:
                x = block(x)
            yield x
            done = end


class Codebook(nn.Module):
    """Codes [n, places] to what each stands for, [n, latent, side, side]."""

    def __init__(self, sizes: RestorerSizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.codes, sizes.latent)
        self._side = sizes.side

    def forward(self, codes: Tensor) -> Tensor:
        """See above. With the channels last in memory, as they are found, all that follows would
        stay so, and norms on a CPU be coarser by two digits."""
        found = self.embedding(codes).transpose(1, 2).contiguous()
        return found.unflatten(2, (self._side, self._side))


class Generator(nn.Module):
    """The way back: [n, latent, h', w'] to a picture [n, 3, h, w].

    `fusions`, by level, change what has been drawn after a level's first block; each is given
    that, and gives as much.
    """

    def __init__(self, sizes: RestorerSizes) -> None:
        super().__init__()
        first, before = sizes.channels[0], sizes.channels[-1]
        blocks: list[nn.Module] = [nn.Conv2d(sizes.latent, before, 3, padding=1), *middle(before)]
        self._level_of: dict[int, int] = {}
        for level, channels in reversed(list(enumerate(sizes.channels))):
            self._level_of[len(blocks)] = level
            blocks += level_blocks(before, channels, sizes, level)
            if level > 0:
                blocks.append(Doubling(channels))
            before = channels
        blocks += [norm(first), nn.Conv2d(first, COLOURS, 3, padding=1)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, fusions: Mapping[int, Fusing]) -> Tensor:
        """See above."""
        for number, block in enumerate(self.blocks):
            x = block(x)
            level = self._level_of.get(number)
            if level in fusions:
                x = fusions[level](x)
        return x


def level_blocks(
    before: int, channels: int, sizes: RestorerSizes, level: int
) -> Iterator[nn.Module]:
    """Of one size of picture. Only at the smallest do places see each other."""
    for _ in range(sizes.blocks):
        yield Residual(before, channels)
        before = channels
        if level == len(sizes.channels) - 1:
            yield Attention(channels)


def middle(channels: int) -> list[nn.Module]:
    """Between the encoder's levels and its end, and between the generator's begin and its
    levels."""
    return [Residual(channels, channels), Attention(channels), Residual(channels, channels)]


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=1e-6)


class Residual(nn.Module):
    """[n, before, h, w] to [n, channels, h, w]."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.norm1 = norm(before)
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1)
        self.norm2 = norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(before, channels, 1) if before != channels else None

    def forward(self, x: Tensor) -> Tensor:
        """See above."""
        change = self.conv1(F.silu(self.norm1(x), inplace=True))
        change = self.conv2(F.silu(self.norm2(change), inplace=True))
        return change + (x if self.conv_out is None else self.conv_out(x))


class Attention(nn.Module):
    """The places of a picture [n, channels, h, w] see each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        normed = self.norm(x)
        q, k, v = (
            to(normed).flatten(2).transpose(1, 2)[:, None] for to in (self.q, self.k, self.v)
        )
        seen = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.proj_out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class Halving(nn.Module):
    """[n, channels, h, w] to [n, channels, h / 2, w / 2]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """See above; zeros are added below and on the right only."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Doubling(nn.Module):
    """[n, channels, h, w] to [n, channels, 2 h, 2 w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See above."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
