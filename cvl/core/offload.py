"""Which rung of the offload ladder a step starts on, and which is next after an out-of-memory."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cvl.core.manifest import ModelManifest, OffloadRung
from cvl.core.names import did_you_mean
from cvl.errors import GpuError, InputError, MemoryFault

if TYPE_CHECKING:
    from cvl.core.media import MediaInfo

WORDS = {"true": "model", "false": "none"}
NONE = OffloadRung("none")
MAX_STEPS_DOWN = 3
GPU_FAULT = "device_out_of_memory"
MAX_PEAK = 1 << 50
MAX_LENGTH = 10**12
FRAMES_PER_SECOND = 25
"""Of a video that says how long it is and not how many pictures it has."""


@dataclass(frozen=True)
class Attempt:
    """A container that ran for a step; error: code of its failure, empty for success."""

    offload: str
    error: str = ""


@dataclass(frozen=True)
class Room:
    """Bytes that a step may use: free on the GPU (None: no GPU, or one that does not tell), and its
    container's limit."""

    gpu: int | None
    container: int


@dataclass(frozen=True)
class Peak:
    """Bytes that a mode was seen to need. 0: nothing is known; None: what was known stays so."""

    gpu: int | None = 0
    container: int | None = 0

    def exceeds(self, room: Room) -> bool:
        """Is it known not to fit?"""
        if room.gpu is not None and (self.gpu or 0) > room.gpu:
            return True
        return (self.container or 0) > room.container


def for_values(
    rungs: tuple[OffloadRung, ...], values: Mapping[str, Any]
) -> tuple[OffloadRung, ...]:
    """The rungs with the VRAM that each needs with these values of the inputs."""
    return tuple(replace(rung, vram_gb=_vram_gb(rung, values)) for rung in rungs)


def _vram_gb(rung: OffloadRung, values: Mapping[str, Any]) -> float:
    """The most that one of the values needs; what is not told is as with the defaults."""
    told = [by[str(values.get(name))] for name, by in rung.vram_gb_for.items()
            if str(values.get(name)) in by]  # fmt: skip
    return max(told, default=rung.vram_gb)


def choose(
    rungs: tuple[OffloadRung, ...],
    asked: str | None,
    free_vram_gb: float | None,
    too_big: Collection[str] = (),
) -> OffloadRung:
    """The rung that was asked for (`true` is model, `false` is none), else the first that fits into
    `free_vram_gb` (10^9 bytes; None: no GPU, so nothing to fit) and is none of `too_big`, the modes
    known not to fit.

    Raises InputError for a mode that the example does not have, GpuError when no rung fits.
    """
    if not rungs:
        return NONE  # in a pipeline, --offload is meant for the steps that have a ladder
    if asked is not None:
        return _named(rungs, asked)
    fitting = [r for r in rungs if free_vram_gb is None or r.vram_gb <= free_vram_gb]
    if fitting:
        return _first_but(too_big, fitting)
    least = min(rung.vram_gb for rung in rungs)
    raise GpuError(
        f"the GPU has {free_vram_gb:.1f} GB free; at least {least:g} GB are needed",
        hint="end what else uses the GPU (nvidia-smi shows it), or choose a smaller model",
        code="not_enough_vram",
    )


def next_down(
    rungs: tuple[OffloadRung, ...], tried: Sequence[str], too_big: Collection[str] = ()
) -> OffloadRung | None:
    """The rung to try after an out-of-memory on the last of `tried`: one that comes after it and
    does not say that it needs more. None when there is none, or after MAX_STEPS_DOWN."""
    below = _below(rungs, tried)
    return _first_but(too_big, below) if below and len(tried) <= MAX_STEPS_DOWN else None


def _below(rungs: tuple[OffloadRung, ...], tried: Sequence[str]) -> list[OffloadRung]:
    modes = [rung.mode for rung in rungs]
    if not tried or tried[-1] not in modes:
        return []
    at = modes.index(tried[-1])
    most = rungs[at].vram_gb or math.inf
    return [r for r in rungs[at + 1 :] if r.vram_gb <= most and r.mode not in tried]


def _first_but(too_big: Collection[str], rungs: Sequence[OffloadRung]) -> OffloadRung:
    """What was learned may be out of date, so it never forbids all: then the lowest is taken."""
    return next((rung for rung in rungs if rung.mode not in too_big), rungs[-1])


def known_too_big(peaks: Mapping[str, Peak], room: Room) -> frozenset[str]:
    """Modes that were seen to need more than there is."""
    return frozenset(mode for mode, peak in peaks.items() if peak.exceeds(room))


def measured(metrics: Mapping[str, float]) -> Peak:
    """The peak that cvl_inside measured. A container can say anything: what no machine has is not
    believed."""
    gpu, container = (metrics.get(f"peak_{name}_bytes", 0) for name in ("vram", "rss"))
    return Peak(_believed(gpu), _believed(container))


def _believed(value: float) -> int:
    return int(value) if 0 < value <= MAX_PEAK else 0


def learned(fault: MemoryFault, room: Room) -> Peak:
    """What an out-of-memory says: more than there was is needed, of the memory that ran out."""
    if fault.code != GPU_FAULT:
        return Peak(gpu=None, container=room.container + 1)
    return Peak(gpu=None if room.gpu is None else room.gpu + 1, container=None)


def stepped_down(fault: MemoryFault, mode: str, next_mode: str) -> str:
    """The warning of a step that was run again."""
    return f"{fault.message} with offload {mode} and was run again with {next_mode}"


def exhausted(rungs: tuple[OffloadRung, ...], tried: Sequence[str]) -> str:
    """The hint of a step that ran out of memory on every rung that could be tried."""
    text = f"tried: offload {', '.join(tried)}; use a smaller input, or a machine with more memory"
    left = _below(rungs, tried)
    return f"{text}, or give --offload {left[0].mode}" if left else text


def size_class(media: Iterable[MediaInfo], numbers: Mapping[str, int]) -> int:
    """How large a step's inputs are, to a power of two: inputs of one class need about the same
    memory.

    It counts the bits of a product. Its factors are, of every picture, its pixels; of every video,
    its pixels and frames; of every sound, its seconds; and of the integer inputs width, height and
    frames their value, and that of size twice.
    """
    product = 1
    for info in media:
        product *= _extent(info)
    for name in ("width", "height", "frames", "size", "size"):
        product *= max(1, numbers.get(name, 1))
    return product.bit_length()


def _extent(info: MediaInfo) -> int:
    pixels = (info.width or 1) * (info.height or 1)
    per_second = (info.fps or FRAMES_PER_SECOND) if info.has_video else 1
    length = info.frames or (info.duration_s or 0) * per_second
    return max(1, pixels) * (math.ceil(length) if 0 < length < MAX_LENGTH else 1)


def check_offload(manifest: ModelManifest, asked: str | None) -> None:
    """Raise InputError when `--offload` names no rung of this model."""
    if asked is not None:
        _named(manifest.offload or (NONE,), asked)


def _named(rungs: tuple[OffloadRung, ...], asked: str) -> OffloadRung:
    mode = WORDS.get(asked.lower(), asked.lower())
    for rung in rungs:
        if rung.mode == mode:
            return rung
    hint = did_you_mean(mode, [rung.mode for rung in rungs])
    raise InputError(f"--offload is {asked!r}", hint=hint)
