"""Layers that wait in the machine's memory and come to the device one by one, each one ahead of
its turn: room for two of them is all that their weights take there."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

ROOMS = 2
"""One layer computes while the next is copied."""


class StreamedLayers:
    """Gives layers of the same shapes in order, each on the device while it is used.

    A layer's tensors are exchanged, not the layer: outside of its turn they are those that wait.
    """

    def __init__(self, layers: nn.ModuleList, device: torch.device | str) -> None:
        self._layers = list(layers)
        on_gpu = torch.device(device).type == "cuda"
        for tensor in (tensor for layer in self._layers for tensor in _tensors(layer)):
            tensor.data = tensor.data.pin_memory() if on_gpu else tensor.data.cpu()
        first = _tensors(self._layers[0])
        self._rooms = [[torch.empty_like(t, device=device) for t in first] for _ in range(ROOMS)]
        self._copies = torch.cuda.Stream() if on_gpu else None
        self._arrived = [torch.cuda.Event() for _ in range(ROOMS)] if on_gpu else []
        self._left = [torch.cuda.Event() for _ in range(ROOMS)] if on_gpu else []

    def __iter__(self) -> Iterator[nn.Module]:
        self._fetch(0)
        for number, layer in enumerate(self._layers):
            if self._copies is not None:
                torch.cuda.current_stream().wait_event(self._arrived[number % ROOMS])
            if number + 1 < len(self._layers):
                self._fetch(number + 1)
            waiting = _moved_into(layer, self._rooms[number % ROOMS])
            yield layer
            _moved_into(layer, waiting)
            if self._copies is not None:
                self._left[number % ROOMS].record()

    def _fetch(self, number: int) -> None:
        """Begin to copy a layer into its room, once the layer before it there is done."""
        room, waiting = self._rooms[number % ROOMS], _tensors(self._layers[number])
        if self._copies is None:
            for target, source in zip(room, waiting):
                target.copy_(source)
            return
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(self._left[number % ROOMS])
            for target, source in zip(room, waiting):
                target.copy_(source, non_blocking=True)
            self._arrived[number % ROOMS].record()


def _tensors(layer: nn.Module) -> list[Tensor]:
    return [*layer.parameters(), *layer.buffers()]


def _moved_into(layer: nn.Module, room: list[Tensor]) -> list[Tensor]:
    """Put a layer's tensors into others; those that they were in."""
    tensors = _tensors(layer)
    before = [tensor.data for tensor in tensors]
    for tensor, other in zip(tensors, room):
        tensor.data = other.data
    return before
