"""What folders take on disk. Reads only; what goes away meanwhile counts as nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


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
