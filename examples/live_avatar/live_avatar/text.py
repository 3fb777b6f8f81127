"""What the prompt means: UMT5-XXL's encoder, and its tokenizer."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from pathlib import Path

import ftfy
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from live_avatar.pickles import Tensors, load_pickled

LONGEST = 512
"""Tokens of a prompt, its end included; what is longer is cut."""


@dataclass(frozen=True)
class TextEncoderSizes:
    """Those of models_t5_umt5-xxl-enc-bf16.pth unless said otherwise. `buckets`: how many kinds of
    distance between two tokens are told apart, the last of them from `farthest` tokens on."""

    vocabulary: int = 256384
    width: int = 4096
    attention: int = 4096
    hidden: int = 10240
    heads: int = 64
    layers: int = 24
    buckets: int = 32
    farthest: int = 128


OFFICIAL = TextEncoderSizes()


class TextEncoder(nn.Module):
    """State dict as in models_t5_umt5-xxl-enc-bf16.pth: no decoder, no head."""

    def __init__(self, sizes: TextEncoderSizes = OFFICIAL) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(sizes.vocabulary, sizes.width)
        self.blocks = nn.ModuleList([Block(sizes) for _ in range(sizes.layers)])
        self.norm = RootMeanSquareNorm(sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, tokens] of numbers to [batch, tokens, width]; no padding among them."""
        words = self.token_embedding(tokens)
        for block in self.blocks:
            words = block(words)
        return self.norm(words)


class Block(nn.Module):
    def __init__(self, sizes: TextEncoderSizes) -> None:
        super().__init__()
        self.norm1 = RootMeanSquareNorm(sizes.width)
        self.attn = Attention(sizes.width, sizes.attention, sizes.heads)
        self.norm2 = RootMeanSquareNorm(sizes.width)
        self.ffn = GatedLayers(sizes.width, sizes.hidden)
        self.pos_embedding = Distances(sizes.buckets, sizes.heads, sizes.farthest)

    def forward(self, words: Tensor) -> Tensor:
        words = words + self.attn(self.norm1(words), self.pos_embedding(words.shape[1]))
        return words + self.ffn(self.norm2(words))


class RootMeanSquareNorm(nn.Module):
    """The mean square is taken in float32, whatever the weights are in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, words: Tensor) -> Tensor:
        square = words.float().square().mean(dim=-1, keepdim=True)
        return self.weight * (words * torch.rsqrt(square + 1e-6)).type_as(self.weight)


class Attention(nn.Module):
    """Each token sees all others. T5 trained without the usual scale of 1 / sqrt(head)."""

    def __init__(self, width: int, attention: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, attention, bias=False)
        self.k = nn.Linear(width, attention, bias=False)
        self.v = nn.Linear(width, attention, bias=False)
        self.o = nn.Linear(attention, width, bias=False)

    def forward(self, words: Tensor, bias: Tensor) -> Tensor:
        """`bias` [1, heads, tokens, tokens]: what distance adds to the scores."""
        query, key, value = (
            layer(words).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        return self.o(seen.transpose(1, 2).flatten(2))


class GatedLayers(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(width, hidden, bias=False), nn.GELU(approximate="tanh"))
        self.fc1 = nn.Linear(width, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, width, bias=False)

    def forward(self, words: Tensor) -> Tensor:
        return self.fc2(self.fc1(words) * self.gate(words))


class Distances(nn.Module):
    """What each head makes of how far, and on which side, another token stands."""

    def __init__(self, buckets: int, heads: int, farthest: int) -> None:
        super().__init__()
        self.farthest = farthest
        self.embedding = nn.Embedding(buckets, heads)

    def forward(self, tokens: int) -> Tensor:
        """[1, heads, tokens, tokens]."""
        place = torch.arange(tokens, device=self.embedding.weight.device)
        buckets = self._bucket(place.unsqueeze(0) - place.unsqueeze(1))
        return self.embedding(buckets).permute(2, 0, 1).unsqueeze(0).contiguous()

    def _bucket(self, ahead: Tensor) -> Tensor:
        """Half the buckets are for tokens that follow; of each half, one half is for each small
        distance, the others for ranges that grow with it."""
        half = self.embedding.num_embeddings // 2
        exact = half // 2
        distance = ahead.abs()
        growth = torch.log(distance.float() / exact) / math.log(self.farthest / exact)
        far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
        return (ahead > 0).long() * half + torch.where(distance < exact, distance, far)


def load_text_encoder(
    path: str | Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> TextEncoder:
    """The encoder in models_t5_umt5-xxl-enc-bf16.pth, or a file like it of other sizes."""
    return load_pickled(lambda tensors: TextEncoder(sizes_of(tensors)), path, dtype, device)


def sizes_of(tensors: Tensors) -> TextEncoderSizes:
    """As the weights show them. Raises KeyError for those of another model."""
    vocabulary, width = tensors["token_embedding.weight"].shape
    buckets, heads = tensors["blocks.0.pos_embedding.embedding.weight"].shape
    return TextEncoderSizes(
        vocabulary=vocabulary, width=width, heads=heads, buckets=buckets,
        attention=tensors["blocks.0.attn.q.weight"].shape[0],
        hidden=tensors["blocks.0.ffn.fc1.weight"].shape[0],
        layers=sum(name.endswith(".attn.q.weight") for name in tensors),
    )  # fmt: skip


class Prompts:
    """Text to tokens, with the tokenizer.json of google/umt5-xxl.

    That file is read as it is. The T5Tokenizer of transformers 5 would rebuild it, without its
    bytes for what has no token and with another number for what is unknown.
    """

    def __init__(self, folder: str | Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def tokens(self, prompt: str) -> Tensor:
        """[1, tokens], at most LONGEST of them, the last of which ends the text."""
        return torch.tensor([self._tokenizer.encode(clean(prompt)).ids])


def clean(prompt: str) -> str:
    """Broken characters mended, HTML's names of characters replaced, and single spaces."""
    mended = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return " ".join(mended.split())


@torch.inference_mode()
def encode_prompt(encoder: TextEncoder, prompts: Prompts, prompt: str) -> Tensor:
    """Context [tokens, width], as many as the prompt has: where the model wants LONGEST, zeros
    follow them."""
    tokens = prompts.tokens(prompt).to(encoder.norm.weight.device)
    return encoder(tokens)[0]
