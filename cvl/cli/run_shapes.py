"""The data of `cvl run` and of what is like it; see shapes.py."""

from __future__ import annotations

from typing import Any, Literal

from cvl.cli.shapes import ErrorShape, Shape
from cvl.core.licensing import Terms
from cvl.core.manifest import OutputSpec, Resources


class BuiltImage(Shape):
    """`built` is false when the image was there already."""

    example: str
    image: str
    tag: str
    built: bool


class BuildData(Shape):
    """`cvl run X build`."""

    images: list[BuiltImage]


class AttemptShape(Shape):
    """A container that ran. `error`: code of the out-of-memory that it ended with, or empty."""

    offload: str
    error: str


class StepDone(Shape):
    """`image` is empty when the result was cached and no image was needed; then no attempt gave it.
    `offload` and `dtype`: what it was made or found with; `dtype` is empty when nobody said."""

    cached: bool
    key: str
    image: str
    seed: int
    seconds: float
    metrics: dict[str, float]
    offload: str
    dtype: str
    attempts: list[AttemptShape]
    license: Terms


class FallbackShape(Shape):
    """`used` took over from `wanted`; `code` and `why` are of the error that led to it."""

    step: str
    wanted: str
    used: str
    code: str
    why: str


class PredictData(Shape):
    """`cvl run X predict`. unchanged: outputs that were there already, byte for byte. sidecars:
    output -> path of its sidecar. degraded: an example took over from the one that was wanted
    (`fallbacks` says which and why)."""

    run: str
    example: str
    seed: int
    outputs: dict[str, str]
    unchanged: list[str]
    sidecars: dict[str, str]
    seconds: float
    log: str
    warnings: list[str]
    degraded: bool
    fallbacks: list[FallbackShape]
    steps: dict[str, StepDone]


class FailedRun(Shape):
    """A variation that was not made; `exit` is what it alone would have ended with."""

    run: str
    seed: int
    exit: int
    error: ErrorShape


class VariationsData(Shape):
    """`cvl run X predict` with several seeds. runs: those that were made, in the order of the
    seeds; failed: in the order of time; not_started: seeds. Also with ok: false."""

    example: str
    runs: list[PredictData]
    failed: list[FailedRun]
    not_started: list[int]
    seconds: float


class TestData(Shape):
    """`cvl run X test`."""

    example: str
    passed: bool
    seconds: float
    junit: str


class PlannedWeightsRow(Shape):
    """present, needed: bytes; known: how much is needed is what the hub or the lock says, not what
    a manifest guesses. state `own`: the user's, in place of the hub's."""

    name: str
    state: Literal["missing", "partial", "complete", "own"]
    present: int
    needed: int
    known: bool


class PlannedStep(Shape):
    """foreach: where its items come from, while nobody knows them; `step` ends with `.*` then.
    fallback: what may take over. device: null when it cannot run here, and `missing` says why."""

    step: str
    example: str
    folder: str
    inputs: dict[str, Any]
    outputs: dict[str, OutputSpec]
    resources: Resources
    network: bool
    foreach: str
    fallback: list[str]
    device: str | None
    offload: str
    dtype: str
    missing: str
    weights: list[PlannedWeightsRow]


class StepNotRun(Shape):
    """given: the inputs that stand for what the step would make; none where it would have worked
    for such a step alone."""

    step: str
    given: list[str]


class DryRunData(Shape):
    """`cvl run X predict --dry-run`."""

    dry_run: Literal[True]
    example: str
    steps: list[PlannedStep]
    not_run: list[StepNotRun]
    outputs: dict[str, str]


class PlannedVariation(Shape):
    seed: int
    outputs: dict[str, str]


class DryRunVariationsData(Shape):
    """`cvl run X predict --dry-run` with several seeds: the steps of each are the same."""

    dry_run: Literal[True]
    example: str
    steps: list[PlannedStep]
    not_run: list[StepNotRun]
    variations: list[PlannedVariation]
