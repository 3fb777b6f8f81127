"""Which rung of the offload ladder a step starts on."""

from __future__ import annotations

from cvl.core.manifest import OffloadRung
from cvl.core.names import did_you_mean
from cvl.errors import GpuError, InputError

WORDS = {"true": "model", "false": "none"}
NONE = OffloadRung("none")


def choose(
    rungs: tuple[OffloadRung, ...], asked: str | None, free_vram_gb: float | None
) -> OffloadRung:
    """The rung that was asked for (`true` is model, `false` is none), else the first that fits into
    `free_vram_gb` (10^9 bytes; None: no GPU, so nothing to fit).

    Raises InputError for a mode that the example does not have, GpuError when no rung fits.
    """
    if asked is not None:
        mode = WORDS.get(asked.lower(), asked.lower())
        for rung in rungs or (NONE,):
            if rung.mode == mode:
                return rung
        modes = [rung.mode for rung in rungs or (NONE,)]
        raise InputError(f"--offload is {asked!r}", hint=did_you_mean(mode, modes))
    if not rungs or free_vram_gb is None:
        return rungs[0] if rungs else NONE
    for rung in rungs:
        if rung.vram_gb <= free_vram_gb:
            return rung
    least = min(rung.vram_gb for rung in rungs)
    raise GpuError(
        f"the GPU has {free_vram_gb:.1f} GB free; at least {least:g} GB are needed",
        hint="end what else uses the GPU (nvidia-smi shows it), or choose a smaller model",
        code="not_enough_vram",
    )
