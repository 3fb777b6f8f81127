"""Manifests that were found good before and have not changed since, so that they need neither a
parser nor a validator: importing those costs more than everything else that a bad input needs.

A file is known by path, inode, size, mtime and ctime, and by the code that judged it. Whatever is
wrong with an entry, or with the folder, makes it unknown: that costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import cvl
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest
from cvl.core.plain import from_plain, to_plain
from cvl.errors import CvlError
from cvl.store.atomic import write_atomic
from cvl.store.dirs import find_dirs, make_private, own_dirs

# Kernels stamp files by a clock that ticks every few milliseconds: a file this young could be
# written again without looking any different.
SETTLED_NS = 50 * 10**6
MAX_BYTES = 1 << 20
_KINDS = {"model": ModelManifest, "pipeline": PipelineManifest}

Stamp = list[Any]


def stamp(path: Path) -> Stamp | None:
    """What tells this state of a file, judged by this code, from any other. Taken before the file
    is read, so that an edit in between makes the entry stale."""
    try:
        status = path.stat()
        judges = _judges()
    except OSError:
        return None
    times = [status.st_mtime_ns, status.st_ctime_ns]
    return [str(path), cvl.__version__, judges, status.st_ino, status.st_size, *times]


def _judges() -> list[int]:
    """The newest change of the code that says what a good manifest is: in a checkout the version
    stays as it is for long."""
    core = Path(cvl.__file__).parent / "core"
    with os.scandir(core) as entries:
        return [max(entry.stat().st_mtime_ns for entry in entries if entry.name.endswith(".py"))]


def recall(known: Stamp | None) -> Manifest | None:
    """The manifest of the file with this stamp, or None when it has to be read."""
    if known is None:
        return None
    try:
        entry = json.loads(_private_bytes(_entry(known)))
        if entry["stamp"] != known:
            return None
        manifest: Manifest = from_plain(_KINDS[entry["manifest"]["kind"]], entry["manifest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, CvlError):
        return None
    return manifest


def remember(known: Stamp | None, manifest: Manifest) -> None:
    """Keep a checked manifest for the next command; a folder that cannot be written is no error."""
    if known is None or time.time_ns() - max(known[-2:]) < SETTLED_NS:
        return
    data = json.dumps({"stamp": known, "manifest": to_plain(manifest)}).encode()
    with contextlib.suppress(OSError, CvlError):
        own_dirs()
        entry = _entry(known)
        make_private(entry.parent)
        write_atomic(entry, data, durable=False)


def _entry(known: Stamp) -> Path:
    name = hashlib.sha256(os.fsencode(known[0])).hexdigest()[:32]
    return find_dirs().cache / "manifests" / f"{name}.json"


def _private_bytes(path: Path) -> bytes:
    """Only a file that nobody else can have written is believed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        ours = status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not (ours and stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES):
            raise OSError("not a private file of ours")
        return stream.read()
