"""Keys and values that attention looks back on: allocated once, however long the video.

Each denoising step has a ring of its own, since it remembers the earlier blocks at its own noise
level: nothing is ever computed a second time to be remembered clean. A ring holds the last 4
blocks; block n overwrites block n - 4.

Every step also looks at the conditions (reference picture and motion frames), the same for all.
Two steps share them, in one tensor of slots

    [ ring of an even step | conditions | ring of the odd step ]

and each ring fills from the conditions outwards. What a step sees is therefore always one slice:
attention reads it in place, and nothing is concatenated (which would copy 12 GB per step at
704x384). Attention does not mind the order, for positions are in the keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from live_avatar.attention import KeyValue, attend
from live_avatar.rope import Rotation, rotate


@dataclass(frozen=True)
class CacheSizes:
    """What the caches are made for; all in tokens but `window`, which is in blocks."""

    layers: int
    heads: int
    head_dim: int
    block: int
    reference: int
    motion: int
    window: int = 4
    steps: int = 4

    @property
    def conditions(self) -> int:
        """Slots of the reference and of the motion frames."""
        return self.reference + self.motion

    @property
    def ring(self) -> int:
        """Slots of one step's ring."""
        return self.window * self.block


@dataclass(frozen=True)
class Place:
    """Where a step writes a block's keys, and what it then sees: slots of its pair's tensor."""

    write: slice
    see: slice


def place_of(step: int, block: int, sizes: CacheSizes) -> Place:
    """The slots of a block in a step's ring, and those of everything it looks at."""
    turn, held = block % sizes.window, min(block + 1, sizes.window)
    if step % 2:
        first = sizes.ring + sizes.conditions
        start = first + turn * sizes.block
        see = slice(sizes.ring, first + held * sizes.block)
    else:
        start = (sizes.window - 1 - turn) * sizes.block
        see = slice((sizes.window - held) * sizes.block, sizes.ring + sizes.conditions)
    return Place(slice(start, start + sizes.block), see)


class Caches:
    """The slots of all steps, and the reference's keys before they are turned.

    Bytes: layers * 2 * dim * (steps * ring + steps / 2 * conditions) * itemsize, and the
    reference's keys: 46 GB in bfloat16 at 704x384 and four steps.
    """

    def __init__(
        self, sizes: CacheSizes, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        self.sizes = sizes
        head = (sizes.heads, sizes.head_dim)
        pairs = [min(2, sizes.steps - first) for first in range(0, sizes.steps, 2)]
        self._slots = [
            KeyValue(*(torch.zeros(shape, dtype=dtype, device=device) for _ in range(2)))
            for shape in ((sizes.layers, p * sizes.ring + sizes.conditions, *head) for p in pairs)
        ]
        # Upright: at no position in time yet. The motion frames' keys never turn again.
        self._upright = torch.zeros(
            (sizes.layers, sizes.reference, *head), dtype=dtype, device=device
        )

    @property
    def nbytes(self) -> int:
        """Memory held."""
        held = [self._upright, *(t for pair in self._slots for t in pair)]
        return sum(t.numel() * t.element_size() for t in held)

    def hold_conditions(
        self, layer: int, upright: KeyValue, rotation: Rotation, query: Tensor
    ) -> Tensor:
        """Keep a layer's keys and values of the conditions, and let them attend to each other.

        `upright` [1, conditions, heads, head_dim] is not yet turned; `query` is turned.
        """
        turned = KeyValue(rotate(upright.key, rotation), upright.value)
        self._upright[layer] = upright.key[0, : self.sizes.reference]
        slots = slice(self.sizes.ring, self.sizes.ring + self.sizes.conditions)
        for pair in self._slots:
            pair.key[layer, slots], pair.value[layer, slots] = turned.key[0], turned.value[0]
        return attend(query, turned)

    def turn_reference(self, rotation: Rotation) -> None:
        """Put the reference picture at another position in time, in all layers."""
        slots = slice(self.sizes.ring, self.sizes.ring + self.sizes.reference)
        for layer, upright in enumerate(self._upright):
            turned = rotate(upright, rotation)
            for pair in self._slots:
                pair.key[layer, slots] = turned

    def remember(self, step: int, place: Place, layer: int, new: KeyValue) -> KeyValue:
        """Keep a block's turned keys and values; give all that the block may see."""
        pair = self._slots[step // 2]
        pair.key[layer, place.write], pair.value[layer, place.write] = new.key[0], new.value[0]
        return KeyValue(*(t[layer : layer + 1, place.see] for t in pair))
