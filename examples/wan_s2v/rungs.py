"""The rungs of the offload ladder: where each part's weights wait, and where it computes."""

from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch
from cvl_inside import InputError

RESERVED_GB = 12.0
"""Of the GPU, for what a step computes with at 1024*704 and 80 frames; the rest is for weights."""
MODES = ("none", "model", "group", "sequential", "fp8")
Table = dict[Any, Callable[..., Any]]


@dataclass(frozen=True)
class Rung:
    """mode: one of MODES; device: where is computed; dtype: what in."""

    mode: str
    device: str
    dtype: torch.dtype

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"there is no offload mode {self.mode!r}")

    def places(self, streamed: bool) -> dict[str, Any]:
        """diffsynth's places of a part: waiting, loaded, about to compute, computing. Of a part
        that is `streamed`, layers are loaded one by one where the rung is so."""
        if self.mode == "none":
            return _places(self.dtype, None, self.device, self.device, self.device)
        if streamed and self.mode == "group":
            return _places(self.dtype, "cpu", "cpu", self.device, self.device)
        if streamed and self.mode == "sequential":
            return _places(self.dtype, "cpu", "cpu", "cpu", self.device)
        return _places(self.dtype, "cpu", self.device, self.device, self.device)

    def limit_gb(self) -> Optional[float]:
        """Of rung group: layers stay on the GPU until so much of it is used."""
        if self.mode != "group" or not self.device.startswith("cuda"):
            return None
        return torch.cuda.mem_get_info()[1] / 2**30 - RESERVED_GB

    def table(self, table: Table, block: type) -> Table:
        """Of diffsynth's wrappers of a transformer, by the class that each is for. On rung fp8 the
        linear layers of its blocks are kept as 8 bit floats, and nothing else is."""
        if self.mode != "fp8":
            return table
        wrapped = {kind: wrapper for kind, wrapper in table.items() if kind is not block}
        wrapped[torch.nn.Linear] = _kept_small(table[torch.nn.Linear])
        return wrapped


def _places(
    dtype: torch.dtype, waiting: Optional[str], loaded: str, ready: str, computing: str
) -> dict[str, Any]:
    devices = {"offload": waiting, "onload": loaded, "preparing": ready, "computation": computing}
    found: dict[str, Any] = {f"{stage}_device": device for stage, device in devices.items()}
    found.update({f"{stage}_dtype": dtype for stage in devices})
    if waiting is None:
        found["offload_dtype"] = None
    return found


def _kept_small(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    def wrap(linear: torch.nn.Linear, *, name: str, **places: Any) -> Any:
        if name.startswith("blocks."):
            small = torch.float8_e4m3fn
            linear = linear.to(small)
            stages = ("offload", "onload", "preparing")
            places.update({f"{stage}_dtype": small for stage in stages})
        return wrapper(linear, name=name, **places)

    return wrap
