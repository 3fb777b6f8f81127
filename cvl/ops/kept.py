"""What a step was given, kept beside its log in the run's folder: enough to set up its environment
again. Private like the inputs themselves, without secrets, and removed with the log."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvl.core.names import did_you_mean
from cvl.core.plain import from_plain, to_plain
from cvl.core.plan import Limits, OutputRequest, Placement, StagedFile, StepSpec
from cvl.core.weights import Lora
from cvl.errors import DiskFullError, UserError
from cvl.ops.request import Options
from cvl.store.atomic import write_atomic
from cvl.store.staging import CheckedFile

SUFFIX = ".step.json"
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class GivenFile:
    """A file that a step was given: where it was on this machine, and what it held."""

    path: str
    sha256: str
    size: int
    extension: str
    folder: bool

    @property
    def staged(self) -> StagedFile:
        """As the container sees it."""
        return StagedFile(self.sha256, self.size, self.extension)


@dataclass(frozen=True)
class KeptStep:
    """A step as it was to run. files: input -> its file, or files if it is one of `lists`."""

    step: str
    example: str
    context: str
    values: dict[str, Any]
    files: dict[str, tuple[GivenFile, ...]]
    lists: tuple[str, ...]
    outputs: dict[str, OutputRequest]
    seed: int
    device: str
    dtype: str
    offload: str
    network: bool
    limits: Limits
    jit: str
    weights: tuple[str, ...]
    own_weights: dict[str, str]
    loras: tuple[Lora, ...]

    def spec(self) -> StepSpec:
        """The step again, for a container to be made for it; not for a key."""
        inputs = dict(self.values)
        for name, given in self.files.items():
            staged = [file.staged for file in given]
            inputs[name] = staged if name in self.lists else staged[0]
        return StepSpec(
            example=self.example, step=self.step, context=self.context, inputs=inputs,
            outputs=self.outputs, seed=self.seed, seed_given=True, device=self.device,
            dtype=self.dtype, offload=self.offload, exact_offload=True, network=self.network,
            secrets=(), cache="never", runtime="", limits=self.limits,
        )  # fmt: skip


def keep_step(
    folder: Path, values: dict[str, Any], spec: StepSpec, placement: Placement, options: Options
) -> None:
    """Write down what a step is about to be given. `values`: its inputs before they were staged.
    A disk that is full must not end the run because of it."""
    files: dict[str, tuple[GivenFile, ...]] = {}
    for name, value in values.items():
        many = isinstance(value, list)
        pairs = zip(value, spec.inputs[name], strict=True) if many else [(value, spec.inputs[name])]
        found = tuple(_given(v, staged) for v, staged in pairs if isinstance(v, CheckedFile))
        if found:
            files[name] = found
    kept = KeptStep(
        step=spec.step, example=spec.example, context=spec.context,
        values={name: value for name, value in spec.inputs.items() if name not in files},
        files=files, lists=tuple(name for name in files if isinstance(values[name], list)),
        outputs=spec.outputs, seed=spec.seed, device=spec.device, dtype=spec.dtype,
        offload=spec.offload, network=spec.network, limits=spec.limits, jit=placement.jit,
        weights=spec.weights,
        own_weights={name: os.path.abspath(path) for name, path in options.weights.items()},
        loras=tuple(Lora(os.path.abspath(lora.path), lora.scale) for lora in options.loras),
    )  # fmt: skip
    with contextlib.suppress(OSError, DiskFullError):
        text = json.dumps(to_plain(kept)).encode()
        write_atomic(folder / f"{spec.step}{SUFFIX}", text, durable=False)


def _given(checked: CheckedFile, staged: StagedFile) -> GivenFile:
    path = os.path.abspath(checked.path)
    return GivenFile(path, staged.sha256, staged.size, staged.extension, checked.folder)


def kept_steps(folder: Path) -> list[str]:
    """Steps of a run that were started or found, the latest last."""
    found: list[tuple[int, str]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime_ns, path.name.removesuffix(SUFFIX)))
    return [name for _, name in sorted(found)]


def read_step(folder: Path, run: str, step: str) -> KeptStep:
    """What `step` was given; the one that was started last when it is empty. UserError when that is
    not known."""
    steps = kept_steps(folder)
    if not steps:
        raise UserError(
            f"it is not known what {run} was given",
            hint="it ended before its first step, or an older cvl ran it",
            code="unknown_step",
        )
    if step and step not in steps:
        hint = did_you_mean(step, steps)
        raise UserError(f"{run} started no step {step!r}", hint=hint, code="unknown_step")
    name = step or steps[-1]
    try:
        path = folder / f"{name}{SUFFIX}"
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        kept: KeptStep = from_plain(KeptStep, json.loads(path.read_bytes()))
        return kept
    except (OSError, ValueError, RecursionError):
        raise UserError(
            f"what {name} of {run} was given cannot be read",
            hint="another version of cvl may have written it; run it again",
            code="unknown_step",
        ) from None
