"""Weights and inputs by a formula: the same numbers on every machine, today and in years.

A number is a hash of the tensor's name and of its index, so that no two tensors, rows or columns
are alike, and nothing hangs on the stream of a random generator.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

STEP = np.uint32(2654435761)
MIX = (np.uint32(0x7FEB352D), np.uint32(0x846CA68B))
BLOCK = 1 << 22
NEAR_ONE = ("weight", "running_var", "gamma", "alpha")


def noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 of -1..1, evenly spread, that seem to have no order."""
    size = int(np.prod(shape, dtype=np.int64))
    found = np.empty(size, np.float32)
    for start in range(0, size, BLOCK):
        part = found[start : start + BLOCK]
        part[:] = _hashed(zlib.crc32(name.encode()), start, len(part))
    return found.reshape(shape)


def _hashed(seed: int, start: int, count: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        bits = (np.arange(start, start + count, dtype=np.uint32) + np.uint32(1)) * STEP
        bits ^= np.uint32(seed)
        for factor, shift in zip(MIX, (15, 16), strict=True):
            bits ^= bits >> np.uint32(16)
            bits *= factor
            bits ^= bits >> np.uint32(shift)
    return (bits >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def filled(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A parameter: matrices keep the size of what goes through, norms are near one, the rest near
    zero."""
    if not shape:
        return torch.zeros((), dtype=torch.long)  # num_batches_tracked
    made = noise(name, shape)
    if len(shape) > 1:
        made *= np.float32((3 / np.prod(shape[1:])) ** 0.5)
    else:
        made *= np.float32(0.1)
        if name.rpartition(".")[2] in NEAR_ONE:
            made += np.float32(1)
    return torch.from_numpy(made)


def fill(module: torch.nn.Module) -> torch.nn.Module:
    """Gives a module weights of that kind, by the names in its state dict."""
    state = {name: filled(name, tuple(t.shape)) for name, t in module.state_dict().items()}
    module.load_state_dict(state, strict=True, assign=True)
    return module.requires_grad_(False).eval()
