"""What the user has said of examples that were found where they work: this folder, with these very
files, may be built and run in containers. One small file each, under CVL_HOME, for all to see."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from cvl.store.atomic import write_atomic
from cvl.store.dirs import Dirs, make_private


def approve(dirs: Dirs, folder: Path, digest: str) -> None:
    """Remember that the files of `folder` with this digest may be used."""
    data = {"folder": str(folder), "digest": digest, "given": round(time.time(), 3)}
    path = _path(dirs, folder)
    make_private(path.parent)
    write_atomic(path, json.dumps(data, indent=1).encode())


def approved(dirs: Dirs, folder: Path, digest: str) -> float | None:
    """When these files of `folder` were approved; None when they were not, or have changed."""
    try:
        data = json.loads(_path(dirs, folder).read_text())
        same = (data["folder"], data["digest"]) == (str(folder), digest)
        return float(data["given"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(dirs: Dirs, folder: Path) -> Path:
    return dirs.trusted / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:32]}.json"
