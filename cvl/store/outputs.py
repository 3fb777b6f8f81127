"""Outputs as a container leaves them: looked at before anything is done with them."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cvl.core.media import MediaError, inspect, require_kind
from cvl.core.plan import OutputRequest, output_file_name
from cvl.errors import OutputError
from cvl.store.folders import FolderError, is_sparse, measure, refuse_clashes
from cvl.store.staging import KINDS, digest_of, open_regular


@dataclass(frozen=True)
class Produced:
    """A checked output: where its bytes are, and which they are."""

    path: Path
    sha256: str
    size: int
    extension: str


def check_output(step: str, name: str, request: OutputRequest, folder: Path) -> Produced:
    """See that an output is there, regular, not empty and of its declared kind.

    Raises OutputError; nothing is followed, opened for writing or decoded.
    """
    path = folder / output_file_name(name, request)
    if request.type == "directory":
        return _check_directory(step, name, path)
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        raise OutputError(f"{step} ended well but wrote no {name!r}") from None
    except PermissionError:
        raise OutputError(f"{step}: output {name!r} cannot be read: see its mode") from None
    except OSError as error:
        what = "a symbolic link" if error.errno == errno.ELOOP else "not a regular file"
        raise OutputError(f"{step}: output {name!r} is {what}", code="hostile_output") from None
    with stream:
        status = os.fstat(stream.fileno())
        if status.st_size == 0:
            raise OutputError(f"{step}: output {name!r} is empty")
        # Media have a structure of their own.
        if request.type not in KINDS and is_sparse(status):
            raise OutputError(f"{step}: output {name!r} is sparse", code="hostile_output")
        _check_kind(step, name, request, stream, status.st_size)
    return Produced(path, digest_of(path), status.st_size, request.extension)


def _check_kind(step: str, name: str, request: OutputRequest, stream: BinaryIO, size: int) -> None:
    if request.type not in KINDS:
        return
    try:
        info = inspect(stream, size)
        require_kind(info, KINDS[request.type])
    except MediaError as error:
        raise OutputError(f"{step}: output {name!r} {error}") from None
    for stream_name, wanted, has in (
        ("video", request.expect.video, info.has_video),
        ("audio", request.expect.audio, info.has_audio),
    ):
        if wanted is not None and wanted != has:
            state = "has no" if wanted else "should have no"
            raise OutputError(f"{step}: output {name!r} {state} {stream_name} stream")


def _check_directory(step: str, name: str, path: Path) -> Produced:
    if path.is_symlink() or not path.is_dir():
        raise OutputError(f"{step} ended well but wrote no folder {name!r}")
    try:
        refuse_clashes(path)
        tree = measure(path)
    except FolderError as error:
        code = "bad_output" if str(error) == "is empty" else "hostile_output"
        raise OutputError(f"{step}: output {name!r} {error}", code=code) from None
    return Produced(path, tree.sha256, tree.size, "")
