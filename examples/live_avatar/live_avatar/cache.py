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

Where several processes make the steps, each holds its own steps' rings and no others: they lie on
the same side of the conditions, so that sums are rounded alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from live_avatar.attention import KeyValue, attend
from live_avatar.rope import Rotation, rotate


@dataclass(frozen=True)
class CacheSizes:
    """What the caches are made for; all in tokens but `window`, which is in blocks. `steps` steps
    have a ring here, from the step `first` on."""

    layers: int
    heads: int
    head_dim: int
    block: int
    reference: int
    motion: int
    window: int = 4
    steps: int = 4
    first: int = 0

    @property
    def held(self) -> range:
        """The steps that have a ring."""
        return range(self.first, self.first + self.steps)

    @property
    def conditions(self) -> int:
        """Slots of the reference and of the motion frames."""
        return self.reference + self.motion

    @property
    def ring(self) -> int:
        """Slots of one step's ring."""
        return self.window * self.block

    def before(self, pair: int) -> int:
        """Slots ahead of the conditions: the ring of the even step, where that is held."""
        return self.ring if 2 * pair in self.held else 0

    def slots(self, pair: int) -> int:
        """Those of the rings that a pair of steps has here, and of the conditions."""
        rings = sum(step in self.held for step in (2 * pair, 2 * pair + 1))
        return rings * self.ring + self.conditions


@dataclass(frozen=True)
class Place:
    """Where a step writes a block's keys, and what it then sees: slots of its pair's tensor."""

    write: slice
    see: slice


def place_of(step: int, block: int, sizes: CacheSizes) -> Place:
    """The slots of a block in a step's ring, and those of everything it looks at."""
    turn, held = block % sizes.window, min(block + 1, sizes.window)
    if step % 2:
        before = sizes.before(step // 2)
        first = before + sizes.conditions
        start = first + turn * sizes.block
        see = slice(before, first + held * sizes.block)
    else:
        start = (sizes.window - 1 - turn) * sizes.block
        see = slice((sizes.window - held) * sizes.block, sizes.ring + sizes.conditions)
    return Place(slice(start, start + sizes.block), see)


class Caches:
    """The slots of the steps that are held, and the reference's keys before they are turned.

    Bytes: layers * 2 * dim * (steps * ring + pairs of steps * conditions) * itemsize, and the
    reference's keys: in bfloat16 at 704x384 46 GB for four steps, 13 GB for one.
    """

    def __init__(
        self, sizes: CacheSizes, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        self.sizes = sizes
        head = (sizes.heads, sizes.head_dim)
        shapes = {
            pair: (sizes.layers, sizes.slots(pair), *head)
            for pair in sorted({step // 2 for step in sizes.held})
        }
        self._slots = {
            pair: KeyValue(*(torch.zeros(shape, dtype=dtype, device=device) for _ in range(2)))
            for pair, shape in shapes.items()
        }
        # Upright: at no position in time yet. The motion frames' keys never turn again.
        self._upright = torch.zeros(
            (sizes.layers, sizes.reference, *head), dtype=dtype, device=device
        )

    @property
    def nbytes(self) -> int:
        """Memory held."""
        held = [self._upright, *(t for pair in self._slots.values() for t in pair)]
        return sum(t.numel() * t.element_size() for t in held)

    def hold_conditions(
        self, layer: int, upright: KeyValue, rotation: Rotation, query: Tensor
    ) -> Tensor:
        """Keep a layer's keys and values of the conditions, and let them attend to each other.

        `upright` [1, conditions, heads, head_dim] is not yet turned; `query` is turned.
        """
        turned = KeyValue(rotate(upright.key, rotation), upright.value)
        self._upright[layer] = upright.key[0, : self.sizes.reference]
        for number, pair in self._slots.items():
            slots = self._fixed(number, self.sizes.conditions)
            pair.key[layer, slots], pair.value[layer, slots] = turned.key[0], turned.value[0]
        return attend(query, turned)

    def turn_reference(self, rotation: Rotation) -> None:
        """Put the reference picture at another position in time, in all layers."""
        for layer, upright in enumerate(self._upright):
            turned = rotate(upright, rotation)
            for number, pair in self._slots.items():
                pair.key[layer, self._fixed(number, self.sizes.reference)] = turned

    def remember(self, step: int, place: Place, layer: int, new: KeyValue) -> KeyValue:
        """Keep a block's turned keys and values; give all that the block may see."""
        pair = self._slots[step // 2]
        pair.key[layer, place.write], pair.value[layer, place.write] = new.key[0], new.value[0]
        return KeyValue(*(t[layer : layer + 1, place.see] for t in pair))

    def _fixed(self, pair: int, count: int) -> slice:
        """The first `count` slots of the conditions."""
        start = self.sizes.before(pair)
        return slice(start, start + count)
