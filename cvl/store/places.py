"""Disks and folders as they are: room, owners, modes. Nothing is created to find out."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from cvl.core.doctor.facts import DiskFact, FolderFact, OwnershipFact
from cvl.disks import mount_of

MAX_ENTRIES, MAX_SECONDS = 20_000, 3.0


def read_disk(what: str, path: Path) -> DiskFact:
    """Room for `what`, also where `path` is yet to be made."""
    try:
        mount = mount_of(path)
        usage = shutil.disk_usage(mount)
    except OSError as error:
        return DiskFact(what, str(path), "", 0, 0, error.strerror or str(error))
    return DiskFact(what, str(path), str(mount), usage.free, usage.total)


def read_folder(what: str, path: Path) -> FolderFact:
    """The folder, or the nearest one above it that exists."""
    existing = path
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    try:
        status = existing.stat()
    except OSError:  # a link to nowhere
        status = existing.lstat()
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    mode = stat.S_IMODE(status.st_mode)
    return FolderFact(what, str(path), str(existing), status.st_uid, mode, writable)


def _listed(folder: str) -> Iterator[tuple[str, bool]]:
    """Paths in a folder, and whether each is a folder itself; none of one that cannot be read."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.path, entry.is_dir(follow_symlinks=False)


def read_ownership(what: str, path: Path) -> OwnershipFact:
    """Who owns what is in `path`: at most 20,000 entries and 3 seconds of looking, following no
    link."""
    mine, until = os.getuid(), time.monotonic() + MAX_SECONDS
    foreign, looked_at, example = 0, 0, ""
    waiting = [str(path)]  # not os.walk: a container may nest folders deeper than it can go
    while waiting:
        for item, is_folder in _listed(waiting.pop()):
            if looked_at >= MAX_ENTRIES or time.monotonic() > until:
                return OwnershipFact(what, str(path), foreign, looked_at, False, example)
            looked_at += 1
            waiting += [item] if is_folder else []
            try:
                owner = os.lstat(item).st_uid
            except OSError:
                continue
            if owner != mine:
                foreign, example = foreign + 1, example or item
    return OwnershipFact(what, str(path), foreign, looked_at, True, example)
