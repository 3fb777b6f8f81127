"""From a parsed document to a checked manifest, with errors that name file, line, what, and the
nearest right key; and the JSON Schema of manifests. pydantic is imported here only."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from functools import cache
from typing import Any

from cvl.core import checks
from cvl.core.location import Located, Location
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest
from cvl.core.names import did_you_mean
from cvl.errors import ManifestError

if typing.TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

    from cvl.core.yaml_source import Document

KINDS: dict[str, type] = {"model": ModelManifest, "pipeline": PipelineManifest}
UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")


def validate(document: Document, folder: str) -> Manifest:
    """The checked manifest in a parsed document; `folder` is the name it must carry.

    Raises ManifestError, whose message starts with `file:line:`.
    """
    manifest = _validate(document)
    checks.check_manifest(manifest, document, folder)
    return manifest


def _validate(document: Document) -> Manifest:
    from pydantic import ValidationError

    kind = document.data.get("kind", "model")
    if not isinstance(kind, str) or kind not in KINDS:
        raise document.error(("kind",), f"kind is {kind!r}", did_you_mean(str(kind), KINDS))
    try:
        text = json.dumps(_rename_with(document.data), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise document.error((), f"a value is not plain text, number or boolean: {error}") from None
    try:
        manifest: Manifest = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise _explain(document, kind, error.errors()) from None
    return manifest


def _rename_with(data: dict[str, Any]) -> dict[str, Any]:
    """`with` is a word of Python, so the field is `with_`."""
    steps = data.get("steps")
    if not isinstance(steps, dict):
        return data
    renamed = {
        name: {("with_" if key == "with" else key): value for key, value in step.items()}
        if isinstance(step, dict)
        else step
        for name, step in steps.items()
    }
    return {**data, "steps": renamed}


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(KINDS[kind])


def _explain(document: Located, kind: str, errors: list[ErrorDetails]) -> ManifestError:
    """The first error, unknown keys before everything else: a typo is what causes the others."""
    unknown = [error for error in errors if error["type"] in UNKNOWN_KEY]
    error = (unknown or errors)[0]
    location: Location = tuple("with" if part == "with_" else part for part in error["loc"])
    where = ".".join(str(part) for part in location[:-1])
    inside = f" in {where}" if where else ""
    if error["type"] in UNKNOWN_KEY:
        known = _keys_at(KINDS[kind], error["loc"][:-1])
        hint = did_you_mean(str(location[-1]), known)
        return document.error(location, f"unknown key {str(location[-1])!r}{inside}", hint)
    if error["type"] in ("missing", "missing_argument"):
        return document.error(location, f"{location[-1]!r} is missing{inside}")
    value = error.get("input")
    shown = f", not {value!r}" if not isinstance(value, dict | list) else ""
    message = error["msg"][:1].lower() + error["msg"][1:]
    return document.error(location, f"{'.'.join(map(str, location))}: {message}{shown}")


def _keys_at(cls: Any, location: Location) -> list[str]:
    """Keys that the manifest allows at `location`, found by walking the annotations."""
    for part in location:
        if dataclasses.is_dataclass(cls):
            cls = typing.get_type_hints(cls).get(str(part))
        else:
            arguments = [a for a in typing.get_args(cls) if a not in (str, Ellipsis)]
            cls = arguments[-1] if arguments else None
        if isinstance(cls, types.UnionType):
            cls = next((a for a in typing.get_args(cls) if dataclasses.is_dataclass(a)), None)
    if not dataclasses.is_dataclass(cls):
        return []
    return [field.name.rstrip("_") for field in dataclasses.fields(cls)]


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of example.yaml, for editors and for CI."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(ModelManifest | PipelineManifest)
    schema = adapter.json_schema()
    step = schema["$defs"]["Step"]["properties"]
    step["with"] = {**step.pop("with_"), "title": "With"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "example.yaml of cvl",
        **schema,
    }
