"""The shape of every --json document, and the committed JSON Schemas that are made from it.

    python -m cvl.cli.schemas --write     write schemas/*.json
    python -m cvl.cli.schemas --check     exit 1 when a committed one is not what it should be

Nothing imports this at run time: the commands stay fast, and the tests hold them to it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

import cvl
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
from cvl.core.validation import json_schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"
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


class StepShape(Shape):
    """`uses`: the examples that the step may run. foreach: name of the item -> where the items come
    from. fallback: what may take over, in order."""

    name: str
    uses: list[str]
    given: dict[str, Any]
    foreach: dict[str, str]
    fallback: list[str]


class ModelShape(Shape):
    """What only a model has. `image` is null while only the engine can tell."""

    license: License
    upstream: Source
    weights: list[Weights]
    resources: Resources
    offload: list[OffloadRung]
    engines: list[str]
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


class FindingShape(Shape):
    name: str
    severity: Literal["ok", "info", "warning", "error"]
    message: str
    remedy: str


class DoctorData(Shape):
    findings: list[FindingShape]


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


class StoppedShape(Shape):
    run: str
    outcome: Literal["stopped", "cleaned", "ended", "still_running", "not_ours"]
    state: State


class StopData(Shape):
    runs: list[StoppedShape]


class ItemShape(Shape):
    """`size` in bytes; that of an image counts layers that it may share with others."""

    kind: Literal["container", "run", "results", "image", "log", "jit"]
    name: str
    size: int
    why: str
    removed: bool


class UsageShape(Shape):
    """`example` is empty for what all of them share."""

    kind: Literal["images", "build cache", "results", "jit caches", "runs", "work"]
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
    `offload`: the mode that it was made or found with."""

    cached: bool
    key: str
    image: str
    seed: int
    seconds: float
    metrics: dict[str, float]
    offload: str
    attempts: list[AttemptShape]


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


class TestData(Shape):
    """`cvl run X test`."""

    example: str
    passed: bool
    seconds: float
    junit: str


class PlannedStep(Shape):
    """foreach: where its items come from, while nobody knows them; `step` ends with `.*` then.
    fallback: what may take over."""

    step: str
    example: str
    folder: str
    inputs: dict[str, Any]
    outputs: dict[str, OutputSpec]
    resources: Resources
    network: bool
    foreach: str
    fallback: list[str]


class DryRunData(Shape):
    """`cvl run X predict --dry-run`."""

    dry_run: Literal[True]
    example: str
    steps: list[PlannedStep]
    outputs: dict[str, str]


COMMANDS: dict[str, Any] = {
    "run": BuildData | PredictData | TestData | DryRunData,
    "list": ListData,
    "info": InfoData,
    "inspect": InspectData,
    "rerun": PredictData | DryRunData,
    "validate": ValidateData,
    "doctor": DoctorData,
    "ps": PsData,
    "logs": LogsData,
    "stop": StopData,
    "df": DfData,
    "gc": GcData,
}


def schema_of(command: str) -> dict[str, Any]:
    """JSON Schema of what `cvl COMMAND ... --json` prints, whether it succeeds or fails."""
    # Types made of values are beyond a type checker.
    literal: Any = Literal
    envelopes: tuple[Any, ...] = (Success, Failure)
    shapes = [
        create_model(
            envelope.__name__, __base__=envelope[COMMANDS[command]], command=(literal[command], ...)
        )
        for envelope in envelopes
    ]
    return _schema(f"cvl {command} --json", shapes[0] | shapes[1])


def _schema(title: str, shape: Any) -> dict[str, Any]:
    schema = TypeAdapter(shape).json_schema(mode="serialization")
    return {"$schema": DRAFT, "title": title, **{k: v for k, v in schema.items() if k != "title"}}


def documents() -> dict[str, str]:
    """File name -> text of every committed schema."""
    schemas = {command: schema_of(command) for command in COMMANDS}
    schemas["failure"] = _schema("cvl --json, when a command fails or is none", Failure[None])
    schemas["example"] = json_schema()
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def main(argv: list[str]) -> int:
    """--write or --check the files in schemas/ of a checkout."""
    folder = Path(cvl.__file__).resolve().parent.parent / "schemas"
    if argv == ["--write"]:
        folder.mkdir(exist_ok=True)
        for name, text in documents().items():
            (folder / name).write_text(text)
        return 0
    if argv != ["--check"]:
        print("error: give --write or --check", file=sys.stderr)
        return 2
    stale = [name for name, text in documents().items() if _committed(folder / name) != text]
    stale += [path.name for path in folder.glob("*.json") if path.name not in documents()]
    for name in stale:
        print(f"error: schemas/{name} is out of date", file=sys.stderr)
    if stale:
        print("hint: python -m cvl.cli.schemas --write", file=sys.stderr)
    return 1 if stale else 0


def _committed(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
