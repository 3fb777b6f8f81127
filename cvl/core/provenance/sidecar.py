"""The file beside a file: the same statement, and what must not be in the file itself because it
differs from run to run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from cvl.core.plain import from_plain, to_plain

from .statement import Provenance, ProvenanceError, completed, decode, encode, parse

SUFFIX = b".cvl.json"
MAX_NAME = 255
MAX_SIDECAR = 4 << 20


@dataclass(frozen=True)
class StepRun:
    """How a step went. seconds: wall time of its container, 0 when the result was known."""

    cached: bool
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Sidecar:
    """A statement and the run that it comes from. sha256: of the file beside it, so that it is
    never taken for the sidecar of another one; empty for a folder."""

    schema: Literal["cvl-sidecar/1"]
    provenance: Provenance
    sha256: str
    run: str
    finished: str
    seconds: float
    machine: dict[str, str]
    steps: dict[str, StepRun]
    warnings: tuple[str, ...]


def sidecar_name(name: bytes) -> bytes:
    """Name of the sidecar of a file called `name`: a long one is shortened, between characters, and
    told apart by its digest."""
    if len(name) + len(SUFFIX) <= MAX_NAME:
        return name + SUFFIX
    mark = b"~" + hashlib.sha256(name).hexdigest()[:12].encode()
    short = name[: MAX_NAME - len(SUFFIX) - len(mark)]
    return short.decode(errors="ignore").encode() + mark + SUFFIX


def encode_sidecar(sidecar: Sidecar) -> bytes:
    """As JSON, for people to read too."""
    return json.dumps(to_plain(sidecar), sort_keys=True, indent=1).encode() + b"\n"


def decode_sidecar(data: bytes) -> Sidecar:
    """Back from untrusted bytes; ProvenanceError for anything that is not one."""
    try:
        document = parse(data)
        if isinstance(document, dict):
            completed(document.get("provenance"))
        found: Sidecar = from_plain(Sidecar, document)
        decode(encode(found.provenance))
    except ProvenanceError:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise ProvenanceError("is not a sidecar of cvl") from error
    return found
