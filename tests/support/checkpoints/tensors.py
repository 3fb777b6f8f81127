"""Names and shapes of the tensors in the files of the Wan models' own repositories, by the sizes of
a model, and values for them. Read off no library: what is built here shows whether one fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Speaker:
    """Sizes of a transformer of Wan-S2V; the defaults are those of the 14B model."""

    dim: int = 5120
    ffn_dim: int = 13824
    freq_dim: int = 256
    text_dim: int = 4096
    audio_dim: int = 1024
    audio_tokens: int = 4
    layers: int = 40
    heads: int = 40
    injected: tuple[int, ...] = (0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39)
    latents: int = 16
    audio_layers: int = 25


@dataclass(frozen=True)
class TextEncoder:
    """Sizes of a UMT5 encoder; the defaults are those of xxl."""

    vocabulary: int = 256384
    dim: int = 4096
    attention: int = 4096
    ffn_dim: int = 10240
    heads: int = 64
    layers: int = 24
    buckets: int = 32


def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), **({f"{name}.bias": (outputs,)} if bias else {})}


def convolution(name: str, inputs: int, outputs: int, *kernel: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, *kernel), f"{name}.bias": (outputs,)}


def attention(name: str, dim: int) -> Shapes:
    shapes: Shapes = {}
    for part in "qkvo":
        shapes |= linear(f"{name}.{part}", dim, dim)
    return shapes | {f"{name}.norm_q.weight": (dim,), f"{name}.norm_k.weight": (dim,)}


def speaker(sizes: Speaker) -> Shapes:
    """diffusion_pytorch_model*.safetensors of Wan2.2-S2V."""
    dim, latents = sizes.dim, sizes.latents
    shapes = convolution("patch_embedding", latents, dim, 1, 2, 2)
    shapes |= linear("text_embedding.0", sizes.text_dim, dim) | linear("text_embedding.2", dim, dim)
    shapes |= linear("time_embedding.0", sizes.freq_dim, dim) | linear("time_embedding.2", dim, dim)
    shapes |= linear("time_projection.1", dim, 6 * dim)
    for layer in range(sizes.layers):
        block = f"blocks.{layer}"
        shapes |= attention(f"{block}.self_attn", dim) | attention(f"{block}.cross_attn", dim)
        shapes |= {f"{block}.norm3.weight": (dim,), f"{block}.norm3.bias": (dim,)}
        shapes |= linear(f"{block}.ffn.0", dim, sizes.ffn_dim)
        shapes |= linear(f"{block}.ffn.2", sizes.ffn_dim, dim)
        shapes[f"{block}.modulation"] = (1, 6, dim)
    shapes |= linear("head.head", dim, 4 * latents) | {"head.modulation": (1, 2, dim)}
    shapes |= convolution("cond_encoder", latents, dim, 1, 2, 2)
    shapes |= {"trainable_cond_mask.weight": (3, dim)}
    for name, times in (("proj", 1), ("proj_2x", 2), ("proj_4x", 4)):
        kernel = (times, 2 * times, 2 * times)
        shapes |= convolution(f"frame_packer.{name}", latents, dim, *kernel)
    return shapes | _hearing(sizes)


def _hearing(sizes: Speaker) -> Shapes:
    """What a transformer of Wan-S2V has for the speech."""
    dim, quarter, encoder = sizes.dim, sizes.dim // 4, "casual_audio_encoder.encoder"
    shapes: Shapes = {"casual_audio_encoder.weights": (1, sizes.audio_layers, 1, 1)}
    local = quarter * sizes.audio_tokens
    shapes |= convolution(f"{encoder}.conv1_local.conv", sizes.audio_dim, local, 3)
    shapes |= convolution(f"{encoder}.conv1_global.conv", sizes.audio_dim, quarter, 3)
    shapes |= convolution(f"{encoder}.conv2.conv", quarter, 2 * quarter, 3)
    shapes |= convolution(f"{encoder}.conv3.conv", 2 * quarter, dim, 3)
    shapes |= linear(f"{encoder}.final_linear", dim, dim)
    shapes[f"{encoder}.padding_tokens"] = (1, 1, 1, dim)
    for number in range(len(sizes.injected)):
        shapes |= attention(f"audio_injector.injector.{number}", dim)
        adain = f"audio_injector.injector_adain_layers.{number}"
        shapes |= linear(f"{adain}.linear", dim, 2 * dim)
    return shapes


def text_encoder(sizes: TextEncoder) -> Shapes:
    """models_t5_umt5-xxl-enc-bf16.pth."""
    shapes: Shapes = {"token_embedding.weight": (sizes.vocabulary, sizes.dim)}
    for layer in range(sizes.layers):
        block = f"blocks.{layer}"
        for part in "qkv":
            shapes |= linear(f"{block}.attn.{part}", sizes.dim, sizes.attention, bias=False)
        shapes |= linear(f"{block}.attn.o", sizes.attention, sizes.dim, bias=False)
        for part in ("gate.0", "fc1"):
            shapes |= linear(f"{block}.ffn.{part}", sizes.dim, sizes.ffn_dim, bias=False)
        shapes |= linear(f"{block}.ffn.fc2", sizes.ffn_dim, sizes.dim, bias=False)
        shapes |= {f"{block}.norm1.weight": (sizes.dim,), f"{block}.norm2.weight": (sizes.dim,)}
        shapes[f"{block}.pos_embedding.embedding.weight"] = (sizes.buckets, sizes.heads)
    return shapes | {"norm.weight": (sizes.dim,)}


@dataclass(frozen=True)
class Autoencoder:
    """Sizes of an autoencoder of four levels with `dim` times `widths` channels, three of them 2
    times smaller each way, two in time as well; the defaults are those of Wan 2.1."""

    dim: int = 96
    latents: int = 16
    widths: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2


def autoencoder(sizes: Autoencoder = Autoencoder()) -> Shapes:
    """Wan2.1_VAE.pth."""
    dim, latents, wide = sizes.dim, sizes.latents, sizes.dim * sizes.widths[-1]
    shapes = _coder("encoder", (3, dim), (wide, 2 * latents), _down(sizes), "downsamples")
    shapes |= convolution("conv1", 2 * latents, 2 * latents, 1, 1, 1)
    shapes |= convolution("conv2", latents, latents, 1, 1, 1)
    return shapes | _coder("decoder", (latents, wide), (dim, 3), _up(sizes), "upsamples")


def _coder(
    name: str, first: tuple[int, int], last: tuple[int, int], levels: Iterator[Shapes], where: str
) -> Shapes:
    """The middle is as wide as the narrowest picture: after going down, or before going up."""
    shapes = convolution(f"{name}.conv1", *first, 3, 3, 3)
    middle = last[0] if where == "downsamples" else first[1]
    for place in (0, 2):
        shapes |= _placed(f"{name}.middle.{place}", _residual(middle, middle))
    shapes[f"{name}.middle.1.norm.gamma"] = (middle, 1, 1)
    shapes |= convolution(f"{name}.middle.1.to_qkv", middle, 3 * middle, 1, 1)
    shapes |= convolution(f"{name}.middle.1.proj", middle, middle, 1, 1)
    for number, level in enumerate(levels):
        shapes |= _placed(f"{name}.{where}.{number}", level)
    shapes[f"{name}.head.0.gamma"] = (last[0], 1, 1, 1)
    return shapes | convolution(f"{name}.head.2", *last, 3, 3, 3)


def _down(sizes: Autoencoder) -> Iterator[Shapes]:
    now = sizes.dim
    for level, timed in enumerate((False, True, True, False)):
        wide = sizes.dim * sizes.widths[level]
        for _ in range(sizes.blocks):
            yield _residual(now, wide)
            now = wide
        if level < 3:
            shapes = convolution("resample.1", wide, wide, 3, 3)
            yield shapes | (convolution("time_conv", wide, wide, 3, 1, 1) if timed else {})


def _up(sizes: Autoencoder) -> Iterator[Shapes]:
    now = sizes.dim * sizes.widths[-1]
    for level, timed in zip((3, 2, 1, 0), (True, True, False, False), strict=True):
        wide = sizes.dim * sizes.widths[level]
        for _ in range(sizes.blocks + 1):
            yield _residual(now, wide)
            now = wide
        if level:
            shapes = convolution("resample.1", wide, wide // 2, 3, 3)
            yield shapes | (convolution("time_conv", wide, 2 * wide, 3, 1, 1) if timed else {})
            now = wide // 2


def _residual(inputs: int, outputs: int) -> Shapes:
    shapes: Shapes = {"residual.0.gamma": (inputs, 1, 1, 1), "residual.3.gamma": (outputs, 1, 1, 1)}
    shapes |= convolution("residual.2", inputs, outputs, 3, 3, 3)
    shapes |= convolution("residual.6", outputs, outputs, 3, 3, 3)
    return shapes | (convolution("shortcut", inputs, outputs, 1, 1, 1) if inputs != outputs else {})


def _placed(name: str, shapes: Shapes) -> Shapes:
    return {f"{name}.{inner}": shape for inner, shape in shapes.items()}


def filled(shapes: Shapes, dtype: torch.dtype, loud: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """Random values: norms about one, the rest so that a layer gives as much as it gets, and twice
    as much where its name holds one of `loud`."""
    tensors = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape)
        if name.endswith(".gamma") or (len(shape) == 1 and name.endswith(".weight")):
            value = 1 + noise / 10
        elif len(shape) == 1:
            value = noise / 10
        else:
            value = noise / noise[0].numel() ** 0.5
        gain = 2 if any(part in name for part in loud) else 1
        tensors[name] = (value * gain).to(dtype)
    return tensors
