"""Disks that are full, told by what a call said and by what the file system says, and named by
their mount; and what kind of file system a path is on."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cvl.errors import DiskFullError

FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM = 1 << 20
"""Bytes. With less than this free, a disk is taken for full: not every write fits into what is left
(blocks, metadata), and what failed may have been removed again."""
GC = "run: cvl gc"
MOUNTS = Path("/proc/self/mounts")
NETWORK = (
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.", "gluster", "gpfs", "lustre", "ncpfs", "nfs",
    "ocfs2", "prl_fs", "smb", "vboxsf",
)  # fmt: skip
"""How the types begin of file systems that other machines, or programs, answer for."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


def full_disk(path: Path, remedy: str = GC, error: OSError | None = None) -> DiskFullError:
    """The error for the disk that `path` is on. remedy: what to do other than making room there."""
    mount = mount_of(path)
    if error is not None and error.errno == errno.EDQUOT:
        message = f"your quota on the disk at {mount} is used up"
    elif out_of_files(mount):
        message = f"the disk at {mount} is full: it has no room for another file (no free inode)"
    else:
        message = f"the disk at {mount} is full"
    return DiskFullError(message, hint=f"free space on {mount}, or {remedy}")


def names_full(error: OSError) -> bool:
    """Did a call say that a disk is full, or a quota used up?"""
    return error.errno in FULL


@contextlib.contextmanager
def naming_the_mount(path: Path, remedy: str = GC) -> Iterator[None]:
    """A full disk below `path` becomes DiskFullError with the mount's name."""
    try:
        yield
    except OSError as error:
        if names_full(error):
            raise full_disk(path, remedy, error) from error
        raise


def mount_of(path: Path) -> Path:
    """The mount point that `path` is on."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    existing = Path(os.path.realpath(existing))
    while not os.path.ismount(existing):
        existing = existing.parent
    return existing


def is_full(path: Path) -> bool:
    """Is there no room to speak of on the disk of `path`? False when nobody can tell."""
    return free_bytes(path) < ROOM or out_of_files(path)


def free_bytes(path: Path) -> int:
    """What this user may still write to the disk of `path`; a lot when nobody can tell."""
    with contextlib.suppress(OSError):
        found = os.statvfs(mount_of(path))
        return found.f_bavail * found.f_frsize
    return 1 << 62


def out_of_files(path: Path) -> bool:
    """Some file systems count files too (inodes); those that do not say 0 of 0."""
    with contextlib.suppress(OSError):
        found = os.statvfs(mount_of(path))
        return found.f_files > 0 and found.f_favail == 0
    return False


def is_network(path: Path) -> bool:
    """Do others answer for this file system, as far as the system tells? Then neither locks nor
    shared memory can be relied on."""
    return file_system(path).startswith(NETWORK)


def file_system(path: Path) -> str:
    """The type of the file system that `path`, which need not exist, is on, as the kernel calls it:
    ext4, nfs4, fuse.sshfs. Empty where that cannot be known."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real = os.path.realpath(path)
    found, deepest = "", -1
    for fields in (line.split(" ") for line in lines):
        if len(fields) > 2:
            point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[1])
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= deepest:  # of two on one place, the last is seen
                found, deepest = fields[2], len(point)
    return found
