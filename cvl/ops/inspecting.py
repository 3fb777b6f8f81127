"""What a file says of itself: what it is, how it was made, and whether that is still what is
here."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cvl.core.manifest import ModelManifest
from cvl.core.media import MediaError, MediaInfo, inspect
from cvl.core.names import printable
from cvl.core.provenance import Provenance, ProvenanceError, decode
from cvl.errors import CvlError, InputError
from cvl.ops.context import source_of
from cvl.ops.examples import Catalog
from cvl.ops.provenance import graph_of
from cvl.store.patching import statement_in
from cvl.store.sidecars import read_sidecar, sidecar_path
from cvl.store.staging import digest_of

CodeState = Literal["same", "changed", "missing"]


@dataclass(frozen=True)
class Statement:
    """What a file says of how it was made, and where it says so; `problem`: why it cannot be
    read."""

    provenance: Provenance | None
    place: Literal["file", "sidecar", "none"]
    problem: str = ""


@dataclass(frozen=True)
class Code:
    """Whether the code of one of its parts is what is here now; step is empty for the pipeline
    itself."""

    step: str
    example: str
    state: CodeState


@dataclass(frozen=True)
class Inspection:
    """A file and what it says. media_problem: why its structure cannot be read."""

    file: str
    size: int
    media: MediaInfo | None
    media_problem: str
    statement: Statement
    code: tuple[Code, ...]


def inspect_file(catalog: Catalog, path: Path) -> Inspection:
    """Look at a file; needs no engine and changes nothing. InputError when it cannot be read."""
    size = _size(path)
    media, problem = _media(path, size)
    statement = read_statement(path)
    made_by = statement.provenance
    code = tuple(code_now(catalog, made_by)) if made_by else ()
    return Inspection(os.path.abspath(path), size, media, problem, statement, code)


def read_statement(path: Path) -> Statement:
    """What the file says; its sidecar, when the file itself says nothing."""
    _size(path)
    folder = path.is_dir()
    try:
        payload = None if folder else statement_in(path)
        if payload is not None:
            return Statement(decode(payload), "file")
    except ProvenanceError as error:
        return Statement(None, "file", str(error))
    try:
        sidecar = read_sidecar(sidecar_path(path))
    except FileNotFoundError:
        return Statement(None, "none")
    except (OSError, ProvenanceError):
        return Statement(None, "sidecar", "has a sidecar that cannot be read")
    if not folder and digest_of(path) != sidecar.sha256:
        return Statement(None, "sidecar", "has a sidecar that belongs to other bytes")
    return Statement(sidecar.provenance, "sidecar")


def _size(path: Path) -> int:
    shown = printable(str(path), 300)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        raise InputError(f"there is no file {shown}", hint="check the path") from None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise InputError(f"{shown} is not a regular file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{shown} cannot be read")
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _media(path: Path, size: int) -> tuple[MediaInfo | None, str]:
    if path.is_dir():
        return None, "is a folder"
    try:
        with path.open("rb") as stream:
            return inspect(stream, size), ""
    except MediaError as error:
        return None, str(error)


def code_now(catalog: Catalog, made_by: Provenance) -> list[Code]:
    """Of the pipeline and of every step: is its code here, and is it the same?"""
    found = []
    if made_by.graph:
        found.append(Code("", made_by.example, _graph_state(catalog, made_by)))
    for step, origin in made_by.steps.items():
        found.append(Code(step, origin.example, _code_state(catalog, origin.example, origin.code)))
    return found


def _graph_state(catalog: Catalog, made_by: Provenance) -> CodeState:
    try:
        here = graph_of(catalog.find(made_by.example).manifest)
    except CvlError:
        return "missing"
    return "same" if here == made_by.graph else "changed"


def _code_state(catalog: Catalog, name: str, code: str) -> CodeState:
    try:
        example = catalog.find(name)
        manifest = example.manifest
        if not isinstance(manifest, ModelManifest):
            return "changed"
        here = source_of(manifest, example.folder)
    except (CvlError, OSError, ValueError):
        return "missing"
    return "same" if here == code else "changed"
