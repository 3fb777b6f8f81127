"""Where networks are while they do not compute, so that they fit a small device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers.hooks import apply_group_offloading
from torch import Tensor, nn

OFFLOADS = ("none", "model", "group", "sequential")
"""none: all networks stay on the device; model: each is there while it computes; group: layers come
there one by one, the next while one computes; sequential: one by one. None changes a number."""


class Places:
    """Puts networks where a rung says. Raises ValueError for an unknown one."""

    def __init__(self, device: torch.device | str, offload: str = "none") -> None:
        if offload not in OFFLOADS:
            raise ValueError(f"there is no offload {offload!r}, only {', '.join(OFFLOADS)}")
        self.device, self._offload = torch.device(device), offload

    def settle(self, network: nn.Module, *, layered: bool = False) -> None:
        """Where it waits. layered: large, and made of layers that can come one by one."""
        if layered and self._offload in ("group", "sequential"):
            apply_group_offloading(
                network,
                onload_device=self.device,
                offload_device=torch.device("cpu"),
                offload_type="leaf_level",
                use_stream=self._offload == "group" and self.device.type == "cuda",
            )
        elif self._offload == "none":
            network.to(self.device)

    @contextmanager
    def there(self, network: nn.Module, *, layered: bool = False) -> Iterator[None]:
        """While it computes."""
        if self._offload == "none" or (layered and self._offload != "model"):
            yield
            return
        tensors = [*network.parameters(), *network.buffers()]
        waiting = [tensor.data for tensor in tensors]
        _exchange(tensors, [data.to(self.device) for data in waiting])
        try:
            yield
        finally:
            # What waited is put back and not copied: weights do not change.
            _exchange(tensors, waiting)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def _exchange(tensors: list[Tensor], data: list[Tensor]) -> None:
    for tensor, other in zip(tensors, data):
        tensor.data = other
