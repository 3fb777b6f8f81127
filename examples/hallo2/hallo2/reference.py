"""The reference network: what each of its layers saw of the portrait and of the frames before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from hallo2.spatial import Memory
from torch import Tensor, nn

BLOCK = ".transformer_blocks.0"


def reference_network(config: Mapping[str, Any]) -> UNet2DConditionModel:
    """Stable Diffusion's UNet without its end: what it would draw is not asked for."""
    # Of every old configuration, and of no class any more.
    known = {name: value for name, value in config.items() if name != "center_input_sample"}
    network = UNet2DConditionModel.from_config(known)
    network.conv_norm_out, network.conv_out = None, nn.Identity()
    return network


def remember(network: UNet2DConditionModel, latents: Tensor, identity: Tensor) -> dict[str, Memory]:
    """By the name of the layer.

    latents: of the portrait and then of the frames before, [1 + m, channels, h, w].
    identity: for each half (without guidance and with it, or with it alone), [halves, n, context].
    Upstream gives the pictures of a batch the halves' tokens in turn, not each half's pictures its
    own: picture i has those of half i modulo the number of halves. So do we.
    """
    halves, pictures = identity.shape[0], latents.shape[0]
    seen: dict[str, Tensor] = {}
    hooks = [
        block.norm1.register_forward_hook(_kept_in(seen, name.removesuffix(BLOCK)))
        for name, block in network.named_modules()
        if isinstance(block, BasicTransformerBlock)
    ]
    try:
        network(latents.repeat(halves, 1, 1, 1), 0, identity.repeat(pictures, 1, 1))
    finally:
        for hook in hooks:
            hook.remove()
    pictures_of = {name: output.unflatten(0, (halves, -1)) for name, output in seen.items()}
    return {name: Memory(own[:, 0], own[:, 1:]) for name, own in pictures_of.items()}


def _kept_in(seen: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def keep(_module: nn.Module, _given: object, output: Tensor) -> None:
        seen[name] = output

    return keep
