"""Attention, over whatever keys and values it is given."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from live_avatar.norms import RMSNorm


class KeyValue(NamedTuple):
    """Keys and values, each [batch, tokens, heads, head_dim]."""

    key: Tensor
    value: Tensor


def attend(query: Tensor, context: KeyValue) -> Tensor:
    """Softmax attention without a mask: [batch, tokens, heads, head_dim].

    What a token may see is decided by what is handed in, so no mask is ever needed.
    """
    q, k, v = (t.transpose(1, 2) for t in (query, context.key, context.value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


class Attention(nn.Module):
    """The projections of self- and of cross-attention: both are the same layers.

    They are called one by one, for keys and values are often made at another time than queries:
    those of the text once per video, of the audio once per block.
    """

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(dim, eps), RMSNorm(dim, eps)

    def queries(self, x: Tensor) -> Tensor:
        """[batch, tokens, dim] to [batch, tokens, heads, head_dim]."""
        query: Tensor = self.norm_q(self.q(x))
        return query.unflatten(-1, (self.heads, -1))

    def keys_values(self, x: Tensor) -> KeyValue:
        """[batch, tokens, dim] to keys and values."""
        key, value = self.norm_k(self.k(x)), self.v(x)
        return KeyValue(*(t.unflatten(-1, (self.heads, -1)) for t in (key, value)))

    def merged(self, attended: Tensor) -> Tensor:
        """[batch, tokens, heads, head_dim] back to [batch, tokens, dim]."""
        out: Tensor = self.o(attended.flatten(-2))
        return out
