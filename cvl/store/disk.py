"""What folders take on disk. Reads only; what goes away meanwhile counts as nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOUNTS = "/proc/self/mountinfo"
NETWORK = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
     "ocfs2", "prl_fs", "smb3", "smbfs", "vboxsf", "fuse.ceph", "fuse.glusterfs", "fuse.rclone",
     "fuse.sshfs")
)  # fmt: skip
"""Types of file systems that other machines may have mounted too."""


def is_network(folder: Path) -> bool:
    """Do other machines see this folder too, as far as the system tells?"""
    return file_system(folder) in NETWORK


def file_system(folder: Path) -> str:
    """Type of the file system that `folder` is on; empty where the system does not tell."""
    try:
        device = folder.stat().st_dev
        lines = Path(MOUNTS).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    fields = (line.split() for line in lines)
    return next((f[f.index("-") + 1] for f in fields if f[2:3] == [wanted]), "")


def files(folder: Path) -> Iterator[tuple[str, int]]:
    """Path and bytes of every regular file below `folder`; links are not followed."""
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        yield entry.path, entry.stat(follow_symlinks=False).st_size


def tree_size(path: Path) -> int:
    """Bytes of the regular files at or below `path`; links are not followed."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            return status.st_size
        if stat.S_ISDIR(status.st_mode):
            return sum(size for _, size in files(path))
    return 0


def children(folder: Path) -> list[Path]:
    """What lies in `folder`, by name; nothing when it is not there."""
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def touched(path: Path) -> float:
    """When `path` itself was last changed (epoch seconds); 0 when it is not there."""
    with contextlib.suppress(OSError):
        return path.lstat().st_mtime
    return 0
