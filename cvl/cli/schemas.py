"""The committed JSON Schemas of every --json document, made from shapes.py.

    python -m cvl.cli.schemas --write     write schemas/*.json
    python -m cvl.cli.schemas --check     exit 1 when a committed one is not what it should be

Nothing imports this at run time: the commands stay fast, and the tests hold them to it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, create_model

import cvl
from cvl.cli.models_shapes import (
    ModelsComparedData,
    ModelsExportData,
    ModelsImportData,
    ModelsListData,
    ModelsLockData,
    ModelsPullData,
    ModelsRemoveData,
    ModelsRepairData,
    ModelsStatusData,
    ModelsVerifyData,
)
from cvl.cli.run_shapes import (
    BuildData,
    DryRunData,
    DryRunVariationsData,
    PredictData,
    TestData,
    VariationsData,
)
from cvl.cli.shapes import (
    CompletionData,
    DfData,
    DoctorData,
    Failure,
    GcData,
    InfoData,
    InitData,
    InspectData,
    ListData,
    LogsData,
    PsData,
    ShellData,
    StopData,
    Success,
    ValidateData,
)
from cvl.core.validation import json_schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"

COMMANDS: dict[str, Any] = {
    "run": BuildData | PredictData | VariationsData | TestData | DryRunData | DryRunVariationsData,
    "demo": PredictData,
    "init": InitData,
    "list": ListData,
    "info": InfoData,
    "inspect": InspectData,
    "rerun": PredictData | DryRunData,
    "validate": ValidateData,
    "doctor": DoctorData,
    "ps": PsData,
    "logs": LogsData,
    "shell": ShellData,
    "stop": StopData,
    "completion": CompletionData,
    "df": DfData,
    "gc": GcData,
    "models list": ModelsListData,
    "models status": ModelsStatusData,
    "models pull": ModelsPullData,
    "models verify": ModelsVerifyData,
    "models repair": ModelsRepairData,
    "models lock": ModelsLockData,
    "models outdated": ModelsComparedData,
    "models update": ModelsComparedData,
    "models export": ModelsExportData,
    "models import": ModelsImportData,
    "models rm": ModelsRemoveData,
    "models prune": ModelsRemoveData,
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
    schemas = {command.replace(" ", "-"): schema_of(command) for command in COMMANDS}
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
