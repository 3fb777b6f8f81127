"""Which rung of the offload ladder a step starts on."""

from __future__ import annotations

from cvl.core.manifest import ModelManifest, OffloadRung
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
    if not rungs:
        return NONE  # in a pipeline, --offload is meant for the steps that have a ladder
    if asked is not None:
        return _named(rungs, asked)
    if free_vram_gb is None:
        return rungs[0]
    for rung in rungs:
        if rung.vram_gb <= free_vram_gb:
            return rung
    least = min(rung.vram_gb for rung in rungs)
    raise GpuError(
        f"the GPU has {free_vram_gb:.1f} GB free; at least {least:g} GB are needed",
        hint="end what else uses the GPU (nvidia-smi shows it), or choose a smaller model",
        code="not_enough_vram",
    )


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
