"""The statement: what somebody needs to make the same bytes again, and nothing about whoever made
them, where or when. Equal runs make equal statements, byte for byte."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from cvl.core.licensing import UNKNOWN, Terms
from cvl.core.names import is_identifier
from cvl.core.plain import from_plain, to_plain

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"[A-Za-z0-9]{0,12}")
MAX_STEPS = 10_000
MAX_DEPTH = 100
MAX_SEED = 2**31 - 1


class ProvenanceError(ValueError):
    """A statement that cannot be read; the message is a sentence without its subject."""


@dataclass(frozen=True)
class FileRef:
    """A file (or folder) that was given, by content."""

    sha256: str
    size: int
    extension: str


@dataclass(frozen=True)
class Origin:
    """What made the outputs of a step."""

    example: str
    code: str
    """sha256 of the example's own files."""
    image: str
    weights: tuple[str, ...]
    seed: int
    device: str
    offload: str
    """Rung of the offload ladder; empty when it was one that changes no result."""
    license: Terms
    """Of its code and weights, as its manifest said then."""
    dtype: str = ""
    """What it computed in; empty for a model that leaves no choice."""


@dataclass(frozen=True)
class Provenance:
    """What made a file. `arguments` and `files` are by input; those of a pipeline's step are under
    `step.input`."""

    schema: Literal["cvl-provenance/1"]
    cvl: str
    example: str
    graph: str
    """sha256 of a pipeline's steps and outputs; empty for a model."""
    output: str
    """Which of the outputs the file is."""
    outputs: dict[str, str]
    """Every output that was asked for, with its extension: together they decide the bytes."""
    seed: int
    arguments: dict[str, Any]
    files: dict[str, tuple[FileRef, ...]]
    steps: dict[str, Origin]


def encode(provenance: Provenance) -> bytes:
    """As JSON in ASCII; equal values give equal bytes."""
    plain = to_plain(provenance)
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def decode(payload: bytes) -> Provenance:
    """The statement that `encode` made of a file's own bytes, which may say anything.

    Raises ProvenanceError for whatever is not exactly one.
    """
    try:
        found: Provenance = from_plain(Provenance, completed(parse(payload)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ProvenanceError(_why(payload)) from error
    if not _makes_sense(found):
        raise ProvenanceError("holds a damaged statement of how it was made")
    return found


def parse(data: bytes) -> Any:
    """Strict JSON that is not nested without end; ValueError, or RecursionError, for anything
    else."""
    document = json.loads(data, parse_constant=_refuse)
    if _depth(document) > MAX_DEPTH:
        raise ValueError("nested too deep")
    return document


def completed(document: Any) -> Any:
    """A statement from before licences were in it, with such as nobody knows."""
    steps = document.get("steps") if isinstance(document, dict) else None
    for origin in steps.values() if isinstance(steps, dict) else ():
        if isinstance(origin, dict):
            origin.setdefault("license", to_plain(Terms(UNKNOWN, UNKNOWN, None)))
    return document


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _depth(value: Any) -> int:
    """How deep lists and mappings are nested, without recursion."""
    depth, level = 0, [value]
    while level:
        nested = [v for v in level if isinstance(v, list | dict)]
        level = [item for v in nested for item in (v.values() if isinstance(v, dict) else v)]
        depth += bool(nested)
    return depth


def _why(payload: bytes) -> str:
    if b'"cvl-provenance/' in payload and b'"cvl-provenance/1"' not in payload:
        return "was made by a newer cvl: its statement of how cannot be read by this one"
    return "holds a damaged statement of how it was made"


def _is_step(name: str) -> bool:
    """Names of steps, joined by dots where pipelines nest; an item of a foreach is a number."""
    return all(is_identifier(part) or part.isdecimal() for part in name.split("."))


def _makes_sense(found: Provenance) -> bool:
    """Names are names and digests are digests: they are shown, looked up and used as options."""
    names = [found.example, *found.outputs, *(origin.example for origin in found.steps.values())]
    dotted = [*found.arguments, *found.files]
    refs = [ref for many in found.files.values() for ref in many]
    seeds = [found.seed, *(origin.seed for origin in found.steps.values())]
    return (
        found.output in found.outputs
        and all(is_identifier(name) for name in names)
        and all(is_identifier(part) for name in dotted for part in name.split("."))
        and all(_is_step(name) for name in found.steps)
        and all(_EXTENSION.fullmatch(extension) for extension in found.outputs.values())
        and all(_SHA256.fullmatch(r.sha256) and _EXTENSION.fullmatch(r.extension) for r in refs)
        and all(ref.size >= 0 for ref in refs)
        and all(0 <= seed <= MAX_SEED for seed in seeds)
        and 0 < len(found.steps) <= MAX_STEPS
        and not found.arguments.keys() & found.files.keys()
    )
