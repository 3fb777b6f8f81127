"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
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
    """Remove a folder of ours whatever modes a container left in it; gone already is fine. What
    `path` lies in is never touched."""
    import shutil

    def unlock(function: object, name: str, error: object) -> None:
        item = Path(name)
        with contextlib.suppress(OSError):
            if path in item.parents:
                item.parent.chmod(0o700)
            if item.is_symlink() or not item.is_dir():
                item.unlink()
            else:
                item.chmod(0o700)
                shutil.rmtree(item, ignore_errors=True)

    if path.exists() or path.is_symlink():
        shutil.rmtree(path, onerror=unlock)
