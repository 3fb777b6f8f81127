"""What can change a result: device, dtype, offload mode and seed. This file is part of the step
key."""

import os
import random
from typing import Any, Mapping

DTYPES = {"cuda": "bf16", "mps": "fp16", "cpu": "fp32"}


class Runtime:
    """The resolved execution settings of a run."""

    def __init__(self, device: str, dtype: str, offload: str, seed: int) -> None:
        self.device = device
        self.dtype = dtype
        self.offload = offload
        self.seed = seed


def resolve(options: Mapping[str, Any]) -> Runtime:
    """Settings of a request; "auto" becomes what this container can do. Seeds Python's own
    generator."""
    device = str(options.get("device") or "cpu")
    dtype = str(options.get("dtype") or "auto")
    seed = int(options.get("seed") or 0)
    random.seed(seed)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    return Runtime(
        device=device,
        dtype=DTYPES.get(device, "fp32") if dtype == "auto" else dtype,
        offload=str(options.get("offload") or "none"),
        seed=seed,
    )
