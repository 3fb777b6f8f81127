"""What a caller can choose."""

from __future__ import annotations

from dataclasses import dataclass

from sadtalker.framing import MODES
from sadtalker.pose import STYLES

SIZES = (256, 512)


@dataclass(frozen=True)
class Options:
    """size: pixels of a rendered frame; preprocess: one of MODES; still: the head keeps its pose;
    pose_style: 0..45; yaw, pitch, roll: degrees that the head passes through, instead of its own;
    batch: frames that are rendered together."""

    size: int = 256
    preprocess: str = "crop"
    still: bool = False
    pose_style: int = 0
    expression_scale: float = 1.0
    yaw: tuple[float, ...] = ()
    pitch: tuple[float, ...] = ()
    roll: tuple[float, ...] = ()
    batch: int = 2

    def __post_init__(self) -> None:
        assert self.size in SIZES and self.preprocess in MODES and self.batch > 0
        assert 0 <= self.pose_style < STYLES

    @property
    def pastes(self) -> bool:
        """Whether what is rendered goes back into the picture."""
        return "full" in self.preprocess

    @property
    def extended(self) -> bool:
        return "ext" in self.preprocess
