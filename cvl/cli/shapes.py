"""The data of every --json document as pydantic models; schemas.py makes JSON Schemas of them.

Nothing imports this at run time: the commands stay fast, and the tests hold them to it.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from cvl.core.doctor import Finding, MachineFacts
from cvl.core.manifest import (
    InputSpec,
    License,
    OffloadRung,
    OutputSpec,
    Resources,
    Source,
    Weights,
)
from cvl.core.media import MediaInfo
from cvl.core.provenance import Provenance
from cvl.ops.fixes import Repair

State = Literal["running", "ok", "failed", "cancelled", "interrupted"]


class Shape(BaseModel):
    """Exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class ErrorShape(Shape):
    """What happened (`message`), the one thing to do (`hint`), and a name that never changes."""

    code: str
    message: str
    hint: str


Data = TypeVar("Data")


class Success(Shape, Generic[Data]):
    """Exit code 0."""

    schema_: Literal["cvl/1"] = Field(alias="schema")  # BaseModel has a method of that name
    ok: Literal[True]
    command: str
    data: Data
    error: None


class Failure(Shape, Generic[Data]):
    """Any other exit code; `data` when there is something to show all the same."""

    schema_: Literal["cvl/1"] = Field(alias="schema")  # BaseModel has a method of that name
    ok: Literal[False]
    command: str
    data: Data | None
    error: ErrorShape


class ListedExample(Shape):
    """kind, gpu, vram_gb and summary are null when the manifest is broken (`error` says why)."""

    name: str
    kind: Literal["model", "pipeline"] | None
    tasks: list[str]
    gpu: Literal["none", "optional", "required"] | None
    vram_gb: float | None
    summary: str | None
    source: str
    folder: str
    error: str | None
    hint: str | None


class ListData(Shape):
    examples: list[ListedExample]


class InitData(Shape):
    """files: relative to `folder`. within_reach: commands that are run here find it by its name.
    `try_`: what to type next."""

    name: str
    kind: Literal["model", "pipeline"]
    folder: str
    files: list[str]
    within_reach: bool
    try_: list[str] = Field(alias="try")


class CompletionData(Shape):
    shell: Literal["bash", "zsh", "fish"]
    script: str


class StepShape(Shape):
    """`uses`: the examples that the step may run. foreach: name of the item -> where the items come
    from. fallback: what may take over, in order. unless: output -> the input that stands for it:
    when all of them are given, the step does not run."""

    name: str
    uses: list[str]
    given: dict[str, Any]
    foreach: dict[str, str]
    fallback: list[str]
    unless: dict[str, str]


class ModelShape(Shape):
    """What only a model has. `image` is null while only the engine can tell."""

    license: License
    upstream: Source
    weights: list[Weights]
    resources: Resources
    offload: list[OffloadRung]
    dtypes: list[str]
    engines: list[str]
    trust: str
    network: bool
    cache: Literal["reuse", "never"]
    secrets: list[str]
    image: str | None


class InfoData(Shape):
    """`model` is null for a pipeline, `steps` is empty for a model."""

    name: str
    kind: Literal["model", "pipeline"]
    summary: str
    tasks: list[str]
    folder: str
    source: str
    inputs: dict[str, InputSpec]
    outputs: dict[str, OutputSpec]
    samples: dict[str, Any]
    model: ModelShape | None
    steps: list[StepShape]


class VerdictShape(Shape):
    """`error` begins with FILE:LINE:, and is empty when the manifest is good."""

    name: str
    folder: str
    error: str
    hint: str
    good: bool


class CodeShape(Shape):
    """`step` is empty for the pipeline itself."""

    step: str
    example: str
    state: Literal["same", "changed", "missing"]


class InspectData(Shape):
    """`media` is null when the structure cannot be read, and `media_problem` says why. `place`:
    what holds `provenance`; `problem` says why it cannot be read."""

    file: str
    size: int
    media: MediaInfo | None
    media_problem: str
    place: Literal["file", "sidecar", "none"]
    problem: str
    provenance: Provenance | None
    code: list[CodeShape]


class ValidateData(Shape):
    examples: list[VerdictShape]


class DoctorData(Shape):
    """`findings` follow from `facts` alone. `repairs`: what --fix did, or would have done."""

    facts: MachineFacts
    findings: list[Finding]
    repairs: list[Repair]


class RunShape(Shape):
    """started and ended: seconds since the epoch. outputs: name -> path."""

    id: str
    example: str
    verb: str
    state: State
    started: float
    ended: float | None
    exit: int | None
    code: str | None
    message: str | None
    outputs: dict[str, str]
    pid: int
    container: Literal["running", "stopped", "none", "unknown"]


class PsData(Shape):
    runs: list[RunShape]


class LogShape(Shape):
    """`whole` is false when `text` is only the end of the log."""

    step: str
    path: str
    text: str
    whole: bool


class LogsData(Shape):
    run: str
    example: str
    state: State
    logs: list[LogShape]


class ShellData(Shape):
    """status: exit code of the command. output: what it printed, the last MiB."""

    run: str
    step: str
    example: str
    image: str
    status: int
    output: str


class StoppedShape(Shape):
    run: str
    outcome: Literal["stopped", "cleaned", "ended", "still_running", "not_ours"]
    state: State


class StopData(Shape):
    runs: list[StoppedShape]


class ItemShape(Shape):
    """`size` in bytes; that of an image counts layers that it may share with others."""

    kind: Literal[
        "container", "run", "work", "part", "results", "image", "environment", "jit", "log", "locks"
    ]
    name: str
    size: int
    why: str
    removed: bool


class UsageShape(Shape):
    """`example`: whose they are; several are named together, `a, b`. It is empty for what belongs
    to none that is known; such weights are of the user's other programs."""

    kind: Literal[
        "images", "build cache", "results", "environments", "weights", "jit caches", "runs", "work"
    ]
    example: str
    count: int
    size: int


class DfData(Shape):
    usage: list[UsageShape]
    size: int
    notes: list[str]


class GcData(Shape):
    dry_run: bool
    items: list[ItemShape]
    size: int
    freed: int
    notes: list[str]
