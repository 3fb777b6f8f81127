"""Outputs: checked where the container left them, published so that no half is ever seen."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cvl import faultpoint
from cvl.core.media import MediaError, inspect, require_kind
from cvl.core.names import printable
from cvl.core.plan import OutputRequest, output_file_name
from cvl.errors import InputError, OutputError, TargetExistsError
from cvl.store.atomic import copy_bytes, naming_the_mount, remove_tree, sync_folder
from cvl.store.staging import KINDS, digest_of, open_regular

STAGING = ".cvl-staging-"
SPARSE_SLACK = 1 << 20
MAX_DIRECTORY_FILES = 1000


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
        if status.st_blocks * 512 + SPARSE_SLACK < status.st_size // 2:
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
    """Only plain files and folders, not too many; the digest is over names and contents."""
    digest, size, count = hashlib.sha256(), 0, 0
    if path.is_symlink() or not path.is_dir():
        raise OutputError(f"{step} ended well but wrote no folder {name!r}")
    for item in sorted(path.rglob("*")):
        count += 1
        if count > MAX_DIRECTORY_FILES:
            message = f"{step}: folder {name!r} holds more than {MAX_DIRECTORY_FILES} files"
            raise OutputError(message, code="hostile_output")
        if stat.S_ISDIR(item.lstat().st_mode):
            continue
        try:
            with open_regular(item) as stream:
                size += os.fstat(stream.fileno()).st_size
        except OSError:
            message = f"{step}: folder {name!r} holds something that is not a plain file"
            raise OutputError(message, code="hostile_output") from None
        digest.update(os.fsencode(item.relative_to(path)) + f"\0{digest_of(item)}\n".encode())
    if count == 0:
        raise OutputError(f"{step}: output {name!r} is empty")
    return Produced(path, digest.hexdigest(), size, "")


@dataclass(frozen=True)
class Target:
    """Where an output goes on the host. The staging folder beside it proves, before anything runs,
    that the place can be written to, and makes the last rename stay on one file system."""

    path: Path
    staging: Path
    overwrite: bool


def prepare_target(path: Path, run_id: str, overwrite: bool) -> Target:
    """Check the place where an output will go; the staging folder is not made yet."""
    target = Path(os.path.abspath(path))
    shown = printable(str(target), 300)
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise InputError(f"--output: {shown} cannot be used: {error.strerror}") from None
    if target.is_dir():
        raise InputError(f"--output: {shown} is a folder", hint="name a file in it")
    parent = target.parent
    if not parent.is_dir():
        raise InputError(f"--output: there is no folder {printable(str(parent), 300)}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"--output: {printable(str(parent), 300)} cannot be written to")
    return Target(target, parent / f"{STAGING}{run_id}", overwrite)


def refuse_existing(target: Target) -> None:
    """Called before a run whose bytes nobody knows yet."""
    if not target.overwrite and os.path.lexists(target.path):
        raise TargetExistsError(
            f"{printable(str(target.path), 300)} exists",
            hint="give --overwrite to replace it, or another --output",
        )


def publish(produced: Produced, target: Target, check: Callable[[], None]) -> bool:
    """Put the output at its target in one rename; False when the same bytes are there already.
    `check` is called last before the rename, and may raise to leave the target as it is.

    Raises TargetExistsError when something else is there and overwriting was not allowed.
    """
    if _same(produced, target.path):
        return False
    refuse_existing(target)
    with naming_the_mount(target.path.parent):
        target.staging.mkdir(mode=0o700, exist_ok=True)
        part = target.staging / "output"
        if produced.path.is_dir():
            _copy_folder(produced.path, part)
        else:
            _copy_file(produced.path, part)
        faultpoint.reach("before_replace")
        check()
        _rename(part, target)
    sync_folder(target.path.parent)
    return True


def _same(produced: Produced, path: Path) -> bool:
    if not path.is_file() or path.is_symlink() or path.stat().st_size != produced.size:
        return False
    return digest_of(path) == produced.sha256


def _copy_file(source: Path, part: Path) -> None:
    part.unlink(missing_ok=True)
    mask = os.umask(0)
    os.umask(mask)
    with open_regular(source) as reader, open(part, "xb") as writer:
        copy_bytes(reader.fileno(), writer.fileno(), os.fstat(reader.fileno()).st_size)
        os.fchmod(writer.fileno(), 0o666 & ~mask)
        os.fsync(writer.fileno())


def _copy_folder(source: Path, part: Path) -> None:
    remove_tree(part)
    part.mkdir()
    for item in sorted(source.rglob("*")):
        place = part / item.relative_to(source)
        if item.is_dir():
            place.mkdir()
        else:
            _copy_file(item, place)


def _rename(part: Path, target: Target) -> None:
    """Replace, or create without replacing: a link cannot win over a file that appeared
    meanwhile."""
    if target.overwrite or part.is_dir():
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
        # No hard links on this file system: the check is as close as it gets.
        refuse_existing(target)
        part.replace(target.path)


def remove_staging(path: Path) -> None:
    """Remove a staging folder of ours: by its name, never through a link."""
    if path.name.startswith(STAGING) and not path.is_symlink():
        with contextlib.suppress(OSError):
            remove_tree(path)
