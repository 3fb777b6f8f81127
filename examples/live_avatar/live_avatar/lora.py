"""LiveAvatar's own weights: low-rank changes to the base model's, added once when it is loaded."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

ALPHA = 64.0
"""With rank 128 the changes count half."""

_PREFIX = "base_model.model."
_FACTOR = re.compile(r"(?P<layer>.+)\.lora_(?P<factor>[AB])(\.default)?\.weight")


class Lora:
    """A file of factors A [rank, in] and B [out, rank]; a layer's change is alpha / rank * B @ A.

    Keys are `[base_model.model.]<layer>.lora_A[.default].weight`, and `lora_B`. Raises ValueError
    for a key that is neither, or a factor without its other: weights that would be left out.
    """

    def __init__(self, path: Path, alpha: float = ALPHA) -> None:
        self._alpha = alpha
        self._file = safe_open(str(path), framework="pt", device="cpu")
        self._keys: dict[str, dict[str, str]] = {}
        for key in self._file.keys():  # noqa: SIM118
            found = _FACTOR.fullmatch(key.removeprefix(_PREFIX))
            if found is None:
                raise ValueError(f"{path.name}: {key} is no factor of a LoRA")
            self._keys.setdefault(found["layer"], {})[found["factor"]] = key
        for layer, factors in self._keys.items():
            if factors.keys() != {"A", "B"}:
                raise ValueError(f"{path.name}: {layer} has one factor without the other")

    @property
    def weights(self) -> set[str]:
        """Names of the weights that it changes."""
        return {f"{layer}.weight" for layer in self._keys}

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """The weight with its change, if it has one; added in float32 on the weight's device."""
        keys = self._keys.get(name.removesuffix(".weight"))
        if keys is None or not name.endswith(".weight"):
            return weight
        down, up = (
            self._file.get_tensor(keys[factor]).to(weight.device, torch.float32) for factor in "AB"
        )
        changed = torch.addmm(weight.float(), up, down, alpha=self._alpha / down.shape[0])
        return changed.to(weight.dtype)
