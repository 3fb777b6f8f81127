"""Attention and what is around it, under the names that Stable Diffusion's checkpoints have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

MOST_TOKENS = 1 << 16
"""So many go through a feed-forward network at once: between its layers it is eight times as wide
as a token, and would else decide how much memory all of it takes."""


class Attention(nn.Module):
    """Of tokens [rows, n, dim] to others [rows, m, context], or to themselves."""

    def __init__(self, dim: int, heads: int, head_dim: int, context: int | None = None) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(context or dim, inner, bias=False)
        self.to_v = nn.Linear(context or dim, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, dim)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """[rows, n, dim]."""
        others = x if context is None else context
        return self.to_out[0](self.seen(self.to_q(x), self.to_k(others), self.to_v(others)))

    def seen(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values [rows, n, inner] to [rows, n, inner]."""
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class ReadingAttention(Attention):
    """Of places [rows, n, dim] to each other, and to what another network saw at them."""

    def forward(self, x: Tensor, memories: Tensor, blind: int) -> Tensor:
        """The rows after the first `blind` ones see memories [turns, n, dim] in turn."""
        rows, both = x.shape[0], torch.cat([x, memories])
        q, k, v = self.to_q(x), self.to_k(both), self.to_v(both)
        attended = [self.seen(q[:blind], k[:blind], v[:blind])] if blind else []
        if blind < rows:
            turn = torch.arange(rows - blind, device=x.device) % len(memories) + rows
            keys, values = (torch.cat([t[blind:rows], t[turn]], 1) for t in (k, v))
            attended.append(self.seen(q[blind:], keys, values))
        return self.to_out[0](torch.cat(attended))


class Feed(FeedForward):
    """Linear, gated GELU, linear: [rows, n, dim], a part of the rows after the other."""

    def __init__(self, dim: int, most_tokens: int = MOST_TOKENS) -> None:
        super().__init__(dim, activation_fn="geglu")
        self.most_tokens = most_tokens

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        rows = max(1, self.most_tokens // x.shape[1])
        if rows >= x.shape[0]:
            return super().forward(x)
        return torch.cat([super(Feed, self).forward(part) for part in x.split(rows)])


class PictureTransformer(nn.Module):
    """A block over the places of each picture [rows, channels, h, w]."""

    def __init__(self, channels: int, inner: int, groups: int, block: nn.Module) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, inner, 1)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor, *given: object) -> Tensor:
        """Of the same shape; `given` goes to the block, with tokens [rows, h * w, inner]."""
        sides = x.shape[2:]
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        tokens = self.transformer_blocks[0](tokens, *given)
        return x + self.proj_out(tokens.transpose(1, 2).unflatten(2, sides))
