"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cvl.disks import naming_the_mount


def write_atomic(
    path: Path, data: bytes, *, replace: bool = True, mode: int = 0o600, durable: bool = True
) -> None:
    """Write `data` so that `path` never holds a part of it, even after a power cut.

    With replace=False, an existing file wins, also over one that appears meanwhile. With
    durable=False, a power cut may cost the file. DiskFullError when there is no room.
    """
    with naming_the_mount(path.parent):
        _write_atomic(path, data, replace, mode, durable)


def _write_atomic(path: Path, data: bytes, replace: bool, mode: int, durable: bool) -> None:
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:32]}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        if replace:
            temporary.replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_new(source: Path, target: Path) -> None:
    """Rename, replacing nothing; FileExistsError when something is there. Where the system has no
    such call, the check is as close as it gets."""
    if _rename_noreplace(source, target):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        source.rename(target)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        raise


def _rename_noreplace(source: Path, target: Path) -> bool:
    """renameat2(2) with RENAME_NOREPLACE; False where kernel, libc or file system has none."""
    import ctypes

    at_cwd, noreplace = -100, 1
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if call(at_cwd, os.fsencode(source), at_cwd, os.fsencode(target), noreplace) == 0:
        return True
    error = ctypes.get_errno()
    if error in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(error, os.strerror(error), str(target))


def copy_bytes(source: int, target: int, size: int) -> None:
    """Copy a whole open file; a reflink or an in-kernel copy where the file systems can."""
    offset = 0
    while offset < size:
        try:
            copied = os.copy_file_range(source, target, size - offset, offset, offset)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
                break
            raise
        if copied == 0:  # some file systems say so although there is more
            break
        offset += copied
    if offset < size:
        import shutil

        os.lseek(source, offset, os.SEEK_SET)
        os.lseek(target, offset, os.SEEK_SET)
        with open(os.dup(source), "rb") as reader, open(os.dup(target), "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)


def remove_tree(path: Path) -> None:
    """Remove a folder of ours whatever a container left in it: any modes, any number of files, and
    folders nested deeper than a path can say. Gone already is fine; what cannot be removed stays.
    No link is followed, and what `path` lies in is never touched."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(OSError):
        path.chmod(0o700)
        with _folder(path) as top:
            _empty(top)
        path.rmdir()


def _empty(top: int) -> None:
    """Remove what is in an open folder. Folders in folders are moved to the top first, so that
    neither the stack, nor the open files, nor the length of a path sets a limit."""
    waiting = _sweep(top, top)
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(OSError):
            with _folder(name, top) as folder:
                waiting += _sweep(folder, top)
            os.rmdir(name, dir_fd=top)


def _sweep(folder: int, top: int) -> list[str]:
    """Remove the files of an open folder, and move its folders to `top`; their names there."""
    moved: list[str] = []
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        with contextlib.suppress(OSError):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
                continue
            os.chmod(entry.name, 0o700, dir_fd=folder)
            name = entry.name if folder == top else f".{os.urandom(8).hex()}"
            if folder != top:
                os.rename(entry.name, name, src_dir_fd=folder, dst_dir_fd=top)
            moved.append(name)
    return moved


@contextlib.contextmanager
def _folder(path: Path | str, within: int | None = None) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
