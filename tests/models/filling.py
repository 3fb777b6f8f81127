"""Numbers by formula, the same everywhere: for weights and inputs of models that are compared.

A generator of random numbers may change its stream from one version to the next. This is a mixing
of integers (splitmix64) over a name and an index, exact in every digit.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn


def filled(name: str, shape: Iterable[int], scale: float = 1.0) -> torch.Tensor:
    """Numbers evenly spread with mean 0 and deviation `scale`, float32, decided by the name."""
    shape = tuple(shape)
    with np.errstate(over="ignore"):
        z = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(
            zlib.crc32(name.encode()) << 32
        )
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    uniform = (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    return torch.from_numpy((uniform * math.sqrt(3) * scale).astype(np.float32)).reshape(shape)


@torch.no_grad()
def fill(module: nn.Module, near_one: Iterable[str] = ()) -> None:
    """Give every parameter and buffer of a module numbers by its name in the state dict.

    Matrices and kernels are scaled by their fan-in, so that signals keep their size; weights of
    norms, and those named in `near_one`, lie near 1; the rest near 0.
    """
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if name in near_one or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.copy_(1 + filled(name, tensor.shape, 0.1))
        elif tensor.ndim == 1:
            tensor.copy_(filled(name, tensor.shape, 0.1))
        else:
            tensor.copy_(filled(name, tensor.shape, math.prod(tensor.shape[1:]) ** -0.5))
