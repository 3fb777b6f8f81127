"""Outputs: checked where the container left them, published so that no half is ever seen."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cvl import faultpoint
from cvl.core.media import MediaError, inspect, require_kind
from cvl.core.names import printable
from cvl.core.plan import OutputRequest, output_file_name
from cvl.core.provenance import Patch
from cvl.errors import InputError, OutputError, TargetExistsError
from cvl.store.atomic import naming_the_mount, remove_tree, rename_new, sync_folder
from cvl.store.folders import FolderError, copy_file, copy_tree, measure
from cvl.store.patching import CARRIERS, copy_patched, patch_of, unpatched_digest
from cvl.store.staging import KINDS, digest_of, open_regular

STAGING = ".cvl-staging-"
SPARSE_SLACK = 1 << 20


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
    except OSError as error:
        what = "a symbolic link" if error.errno == errno.ELOOP else "not a regular file"
        raise OutputError(f"{step}: output {name!r} is {what}", code="hostile_output") from None
    with stream:
        status = os.fstat(stream.fileno())
        if status.st_size == 0:
            raise OutputError(f"{step}: output {name!r} is empty")
        holes = status.st_size // 2 - status.st_blocks * 512
        # Media have a structure of their own; a file system that compresses makes holes too.
        if request.type not in KINDS and holes > SPARSE_SLACK:
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
        tree = measure(path)
    except FolderError as error:
        code = "bad_output" if str(error) == "is empty" else "hostile_output"
        raise OutputError(f"{step}: output {name!r} {error}", code=code) from None
    return Produced(path, tree.sha256, tree.size, "")


@dataclass(frozen=True)
class Target:
    """Where an output goes on the host. The staging folder beside it proves, before anything runs,
    that the place can be written to, and makes the last rename stay on one file system."""

    path: Path
    staging: Path
    overwrite: bool
    numbered: bool = False
    """Nobody chose the name: where something else has it, the output gets the next number."""


def prepare_target(path: Path, run_id: str, overwrite: bool, *, numbered: bool = False) -> Target:
    """Check the place where an output will go; the staging folder is not made yet."""
    target = Path(os.path.abspath(path))
    numbered = numbered and not overwrite
    shown = printable(str(target), 300)
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise InputError(f"--output: {shown} cannot be used: {error.strerror}") from None
    if target.is_dir() and not numbered:
        raise InputError(f"--output: {shown} is a folder", hint="name a file in it")
    parent = target.parent
    if not parent.is_dir():
        raise InputError(f"--output: there is no folder {printable(str(parent), 300)}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"--output: {printable(str(parent), 300)} cannot be written to")
    return Target(target, parent / f"{STAGING}{run_id}", overwrite, numbered)


def refuse_existing(target: Target) -> None:
    """Called before a run whose bytes nobody knows yet."""
    if not target.overwrite and os.path.lexists(target.path):
        raise TargetExistsError(
            f"{printable(str(target.path), 300)} exists",
            hint="give --overwrite to replace it, or another --output",
        )


@dataclass(frozen=True)
class Finished:
    """What is published: a checked output, and how the statement of how it was made goes in."""

    produced: Produced
    patch: Patch | None

    def is_at(self, path: Path) -> bool:
        """Are these very bytes there already?"""
        try:
            if path.is_symlink():
                return False
            if path.is_dir():
                return self.produced.path.is_dir() and measure(path).sha256 == self.produced.sha256
            size = self.patch.size if self.patch else self.produced.size
            if not path.is_file() or path.stat().st_size != size:
                return False
            digest = unpatched_digest(path, self.patch) if self.patch else digest_of(path)
        except (OSError, FolderError):
            return False
        return digest == self.produced.sha256


def finish(produced: Produced, payload: bytes) -> Finished:
    """`payload`: a statement of how it was made, for formats that have a place for one."""
    patch = patch_of(produced.path, payload) if produced.extension in CARRIERS else None
    return Finished(produced, patch)


def publish(
    produced: Produced, target: Target, check: Callable[[], None], payload: bytes = b""
) -> bool:
    """Put the output at its target in one rename; False when the same bytes are there already.
    `check` is called last before the rename, and may raise to leave the target as it is.

    Raises TargetExistsError when something else is there and overwriting was not allowed.
    """
    return put(finish(produced, payload), target, check)


def put(finished: Finished, target: Target, check: Callable[[], None]) -> bool:
    """`publish`, with the statement prepared."""
    if finished.is_at(target.path):
        return False
    refuse_existing(target)
    source = finished.produced.path
    with naming_the_mount(target.path.parent):
        target.staging.mkdir(mode=0o700, exist_ok=True)
        part = target.staging / "output"
        remove_tree(part)
        if finished.patch is not None:
            copy_patched(source, part, file_mode(), finished.patch)
        else:
            copy = copy_tree if source.is_dir() else copy_file
            copy(source, part, file_mode())
        faultpoint.reach("before_replace")
        check()
        _rename(part, target)
    sync_folder(target.path.parent)
    return True


def file_mode() -> int:
    """0666 less the umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _rename(part: Path, target: Target) -> None:
    """Replace, or create without replacing: a link cannot win over a file that appeared
    meanwhile."""
    if part.is_dir():
        _rename_folder(part, target)
        return
    if target.overwrite:
        part.replace(target.path)
        return
    try:
        os.link(part, target.path)
        part.unlink()
    except FileExistsError:
        refuse_existing(target)
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        try:  # no hard links on this file system
            rename_new(part, target.path)
        except FileExistsError:
            refuse_existing(target)
            raise


def _rename_folder(part: Path, target: Target) -> None:
    """A folder takes the place of nothing: what was there might be more than one run's work."""
    try:
        rename_new(part, target.path)
    except FileExistsError:
        shown = printable(str(target.path), 300)
        hint = "give another --output: a folder is new"
        raise TargetExistsError(f"{shown} exists", hint=hint) from None


def remove_staging(path: Path) -> None:
    """Remove a staging folder of ours: by its name, never through a link."""
    if path.name.startswith(STAGING) and not path.is_symlink():
        with contextlib.suppress(OSError):
            remove_tree(path)
