"""What can be removed, as values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cvl.errors import UserError

GB = 10**9
DAY_S = 86400
Kind = Literal[
    "container", "run", "work", "part", "results", "image", "environment", "jit", "log", "locks"
]


@dataclass(frozen=True)
class Item:
    """Something to remove. `size` in bytes; that of an image counts layers that it may share."""

    kind: Kind
    name: str
    size: int
    why: str
    removed: bool = False


@dataclass(frozen=True)
class Limits:
    """How much may stay, in GB. superseded: images and environments that a changed example left
    behind."""

    results_gb: float
    superseded_gb: float

    def __post_init__(self) -> None:
        for name, value in (("results_gb", self.results_gb), ("superseded_gb", self.superseded_gb)):
            if not (math.isfinite(value) and value >= 0):
                raise UserError(
                    f"{name} is {value:g}",
                    hint="give a number of GB; 0 keeps none",
                    code="bad_config",
                )

    @property
    def results(self) -> int:
        return int(self.results_gb * GB)

    @property
    def superseded(self) -> int:
        return int(self.superseded_gb * GB)


@dataclass(frozen=True)
class Superseded:
    """An image or environment of an earlier state of an example; `used`: when it last was (epoch
    seconds, 0 when nobody knows); `context`: of an image, the digest of what it was built from."""

    item: Item
    used: float
    context: str = ""


def split(found: Iterable[Superseded], most: int) -> tuple[list[Superseded], list[Superseded]]:
    """(what goes, what stays): the least recently used goes until at most `most` bytes stay. Both
    in that order."""
    ordered = sorted(found, key=lambda superseded: superseded.used)
    left = sum(superseded.item.size for superseded in ordered)
    for number, superseded in enumerate(ordered):
        if left <= most:
            return ordered[:number], ordered[number:]
        left -= superseded.item.size
    return ordered, []
