"""File inputs: opened once, checked, copied into a private folder that alone is mounted."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from cvl.core.inputs import HostFile
from cvl.core.manifest import InputSpec
from cvl.core.media import Kind, MediaError, MediaInfo, extension_for, inspect, require_kind
from cvl.core.names import printable
from cvl.core.plan import EXTENSION, StagedFile
from cvl.disks import naming_the_mount
from cvl.errors import InputError
from cvl.store.atomic import copy_bytes
from cvl.store.digests import Identity

MAX_INPUT = 20 * 10**9
CHUNK = 1 << 20
KINDS: dict[str, Kind] = {"audio": "audio", "image": "image", "video": "video", "json": "json"}


@dataclass(frozen=True)
class CheckedFile:
    """A file input that does: where it is, what it is, and its identity when it was looked at."""

    path: Path
    size: int
    extension: str
    info: MediaInfo | None
    identity: Identity
    folder: bool = False
    sha256: str = ""
    """What it is known to hold; empty when it has yet to be read."""


def check_file(name: str, spec: InputSpec, path: str) -> CheckedFile:
    """Open `path` and see that it is what input `name` asks for, without decoding it.

    Raises InputError that names the input, the file and what is wrong with it.
    """
    shown = printable(path, 200)
    if spec.item_type == "directory":
        return _check_folder(name, path, shown)
    with _opened(name, path, shown) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"--{name}: {shown} is not a regular file")
        if status.st_size == 0:
            raise InputError(f"--{name}: {shown} is empty")
        if status.st_size > MAX_INPUT:
            raise InputError(
                f"--{name}: {shown} has {status.st_size} bytes; {MAX_INPUT} is the most"
            )
        info = _inspect(name, spec, shown, stream, status.st_size)
    extension = extension_for(info.format) if info else _own_extension(path)
    return CheckedFile(Path(path), status.st_size, extension, info, _identity(status))


def identity_of(path: Path) -> Identity:
    """Of a file as it is now."""
    return _identity(path.stat())


def _identity(status: os.stat_result) -> Identity:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)


def _check_folder(name: str, path: str, shown: str) -> CheckedFile:
    if not os.path.isdir(path):
        exists = "not a folder" if os.path.lexists(path) else "not there"
        raise InputError(f"--{name}: {shown} is {exists}", hint=_look_around(path))
    status = os.stat(path)
    identity = (status.st_dev, status.st_ino, 0, 0, 0)
    return CheckedFile(Path(path), 0, "", None, identity, folder=True)


def open_files(name: str, spec: InputSpec, value: Any) -> Any:
    """HostFile -> CheckedFile, in lists too; other values as they are."""
    if isinstance(value, HostFile):
        checked = check_file(name, spec, value.path)
        return checked if value.extension is None else replace(checked, extension=value.extension)
    if isinstance(value, list):
        return [open_files(name, spec, item) for item in value]
    return value


@contextlib.contextmanager
def _opened(name: str, path: str, shown: str) -> Iterator[BinaryIO]:
    """Non-blocking, so that a FIFO cannot hang us."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"--{name}: there is no file {shown}", hint=_look_around(path)) from None
    except OSError as error:
        raise InputError(f"--{name}: cannot read {shown}: {error.strerror}") from None
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"--{name}: {shown} is a folder, not a regular file")
    with open(descriptor, "rb") as stream:
        yield stream


def _look_around(path: str) -> str:
    import difflib

    folder = os.path.dirname(path) or "."
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
        close = difflib.get_close_matches(os.path.basename(path), names, n=1)
        if close:
            return f"did you mean {printable(os.path.join(folder, close[0]), 200)}?"
    return "check the path"


def _inspect(
    name: str, spec: InputSpec, shown: str, stream: BinaryIO, size: int
) -> MediaInfo | None:
    wanted = spec.item_type
    if wanted not in KINDS:
        return None
    try:
        info = inspect(stream, size)
        # The sound of a video will do where audio is asked for.
        if not (wanted == "audio" and info.has_audio):
            require_kind(info, KINDS[wanted])
    except MediaError as error:
        raise InputError(f"--{name}: {shown} {error}", hint=f"give {_a(wanted)} file") from None
    _check_limits(name, spec, shown, info)
    return info


def _check_limits(name: str, spec: InputSpec, shown: str, info: MediaInfo) -> None:
    seconds, pixels = info.duration_s, (info.width or 0) * (info.height or 0)
    if spec.max_seconds is not None and seconds is not None and seconds > spec.max_seconds:
        raise InputError(
            f"--{name}: {shown} lasts {seconds:.1f} s", hint=f"{spec.max_seconds:g} s is the most"
        )
    if spec.max_pixels is not None and pixels > spec.max_pixels:
        raise InputError(
            f"--{name}: {shown} has {info.width}x{info.height} pixels",
            hint=f"{spec.max_pixels} pixels are the most",
        )


def _a(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}"


def _own_extension(path: str) -> str:
    """A relative path without a dot is no extension."""
    extension = os.path.basename(path).rpartition(".")
    return extension[2].lower() if extension[1] and EXTENSION.fullmatch(extension[2]) else ""


def stage(name: str, checked: CheckedFile, target: Path) -> StagedFile:
    """Copy a checked file to `target` and return its content identity.

    The copy is what gets mounted: the caller's file may change or be swapped at any time.
    InputError when it is not the file that was checked: by its content when that is known (others
    may touch a result meanwhile), else by its identity.
    """
    if checked.folder:
        return _stage_folder(name, checked, target)
    with (
        naming_the_mount(target.parent),
        _opened(name, str(checked.path), printable(str(checked.path), 200)) as source,
    ):
        if not checked.sha256 and _identity(os.fstat(source.fileno())) != checked.identity:
            raise _changed(name, checked)
        with open(target, "xb") as copy:
            copy_bytes(source.fileno(), copy.fileno(), checked.size)
        target.chmod(0o444)
    sha256 = digest_of(target)
    if checked.sha256 and sha256 != checked.sha256:
        raise _changed(name, checked)
    return StagedFile(sha256, checked.size, checked.extension)


def _changed(name: str, checked: CheckedFile) -> InputError:
    shown = printable(str(checked.path), 200)
    return InputError(f"--{name}: {shown} changed meanwhile", hint="run it again")


def _stage_folder(name: str, checked: CheckedFile, target: Path) -> StagedFile:
    from cvl.store.folders import FolderError, copy_tree, measure

    try:
        measure(checked.path)
        with naming_the_mount(target.parent):
            copy_tree(checked.path, target, 0o444)
        tree = measure(target)
    except FolderError as error:
        raise InputError(f"--{name}: {printable(str(checked.path), 200)} {error}") from None
    return StagedFile(tree.sha256, tree.size, "")


def digest_of(path: Path) -> str:
    """sha256 of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def open_regular(path: Path) -> BinaryIO:
    """Open a file that a container wrote: never through a link, never blocking on a FIFO. A device
    is not even opened: that alone can move a tape or arm a watchdog.

    Raises OSError: ELOOP for a symlink, EINVAL for anything but a regular file with one name.
    """
    before = os.lstat(path)
    if stat.S_ISLNK(before.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link")
    _refuse_traps(before)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_traps(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def _refuse_traps(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise OSError(errno.EINVAL, "not a regular file with one name")
