"""Weights in files that torch pickled: read without running anything, tensors and no code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
Tensors = dict[str, Tensor]


def load_pickled(
    build: Callable[[Tensors], Network],
    path: str | Path,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Network:
    """The network that `build` makes for tensors of these shapes, with the weights at `path`.

    The file is mapped into memory and its tensors become the parameters: nothing is initialised
    first, and each tensor is read once, on its way to `device`. Raises RuntimeError, with the
    names, when the file has other tensors than the network.
    """
    tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    try:
        with torch.device("meta"):
            network = build(tensors)
    except KeyError as missing:
        raise RuntimeError(f"{path} is of another model: it has no {missing}") from None
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.to(device=device, dtype=dtype).eval().requires_grad_(False)
