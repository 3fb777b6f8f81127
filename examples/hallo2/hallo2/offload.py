"""Where networks are while they do not compute, so that they fit a small device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

OFFLOADS = ("none", "model", "sequential")
"""none: all networks stay on the device; model: each is there while it computes; sequential: a part
of each while that computes. None changes a number."""
MOST_BYTES = 128 << 20
"""Of a part's weights."""


class Places:
    """Puts networks where a rung says. Raises ValueError for an unknown one."""

    def __init__(
        self, device: torch.device | str, offload: str = "none", most_bytes: int = MOST_BYTES
    ) -> None:
        if offload not in OFFLOADS:
            raise ValueError(f"there is no offload {offload!r}, only {', '.join(OFFLOADS)}")
        self.device, self.offload, self._most_bytes = torch.device(device), offload, most_bytes

    def settle(self, network: nn.Module) -> None:
        """Put it where it stays or waits; with `sequential`, its parts come when they are called
        and leave when they are done."""
        if self.offload == "none":
            network.to(self.device)
        if self.offload == "sequential":
            for part in parts(network, self._most_bytes):
                visit = _Visit(part, self.device)
                part.register_forward_pre_hook(lambda *_, to=visit: to.begin())
                part.register_forward_hook(lambda *_, to=visit: to.end(), always_call=True)

    @contextmanager
    def there(self, network: nn.Module) -> Iterator[None]:
        """While it computes, or all of its parts do."""
        if self.offload == "model":
            visit = _Visit(network, self.device)
            visit.begin()
            try:
                yield
            finally:
                visit.end()
        else:
            yield
        if self.offload != "none" and self.device.type == "cuda":
            torch.cuda.empty_cache()


class _Visit:
    """A module's weights on the device for a while. What waited is put back and not copied: weights
    do not change."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._device = device
        self._tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
        self._waiting = [tensor.data for tensor in self._tensors]

    def begin(self) -> None:
        for tensor, waiting in zip(self._tensors, self._waiting):
            tensor.data = waiting.to(self._device)

    def end(self) -> None:
        for tensor, waiting in zip(self._tensors, self._waiting):
            tensor.data = waiting


def parts(network: nn.Module, most_bytes: int) -> Iterator[nn.Module]:
    """Modules that are called, which together hold every weight: as large as may be."""
    called = not isinstance(network, (nn.ModuleList, nn.Sequential))
    held = sum(t.nbytes for t in (*network.parameters(), *network.buffers()))
    alone = any(True for t in (*network.parameters(False), *network.buffers(False)))
    if called and (held <= most_bytes or alone or not list(network.children())):
        if held:
            yield network
        return
    for child in network.children():
        yield from parts(child, most_bytes)
