"""What was read from manifests that have not changed since, so that listing them needs no parser.

A file is known by path, inode, size, mtime and ctime. One that was written within the last moments
is not remembered: it could change again within one tick of the clock that stamps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cvl
from cvl.errors import CvlError
from cvl.store.atomic import write_atomic
from cvl.store.dirs import make_private

SETTLED_NS = 2 * 10**9
MAX_BYTES = 16 << 20
_JUDGES = ("manifest", "validation", "checks", "inputs", "yaml_source", "names")


@dataclass(frozen=True)
class Summary:
    """What a list shows of a manifest. gpu is empty for a pipeline: its steps decide."""

    kind: str
    tasks: tuple[str, ...]
    gpu: str
    vram_gb: float
    summary: str


class ManifestIndex:
    """Summaries by file. One that cannot be read or written is an empty one: it only costs time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = _version()
        self._known: dict[str, tuple[str, Summary]] = {}
        self._changed = False
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self._read()

    def _read(self) -> None:
        if self._path.stat().st_size > MAX_BYTES:
            return
        document = json.loads(self._path.read_bytes())
        if document["version"] != self._version:
            return
        for path, (identity, fields) in document["manifests"].items():
            fields["tasks"] = tuple(fields["tasks"])
            self._known[path] = (identity, Summary(**fields))

    def get(self, path: Path) -> Summary | None:
        """The summary of `path` as it is now, or None."""
        identity = _identity(path)
        known = self._known.get(str(path))
        return known[1] if known is not None and identity == known[0] else None

    def put(self, path: Path, summary: Summary) -> None:
        """Remember the summary of a valid manifest."""
        identity = _identity(path, settled=True)
        if identity is not None:
            self._known[str(path)] = (identity, summary)
            self._changed = True

    def save(self) -> None:
        """Write what was learned; files that are gone are forgotten."""
        if not self._changed:
            return
        manifests = {
            path: (identity, asdict(summary))
            for path, (identity, summary) in self._known.items()
            if os.path.isfile(path)
        }
        data = json.dumps({"version": self._version, "manifests": manifests}).encode()
        with contextlib.suppress(OSError, CvlError):
            make_private(self._path.parent)
            write_atomic(self._path, data)


def _identity(path: Path, *, settled: bool = False) -> str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    if settled and not 0 <= newest <= time.time_ns() - SETTLED_NS:
        return None
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return ":".join(map(str, (status.st_dev, status.st_ino, status.st_size, *times)))


def _version() -> str:
    """Changes with the code that judges manifests, also in a checkout."""
    core = Path(os.path.abspath(cvl.__file__)).parent / "core"
    stamps = []
    for name in _JUDGES:
        with contextlib.suppress(OSError):
            stamps.append(str((core / f"{name}.py").stat().st_mtime_ns))
    return f"{cvl.__version__}:{','.join(stamps)}"
