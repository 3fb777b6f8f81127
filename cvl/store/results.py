"""Results of steps by content: blobs under their sha256, and one small file per step key."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvl.store.atomic import copy_bytes, naming_the_mount, write_atomic
from cvl.store.dirs import make_private
from cvl.store.outputs import Produced
from cvl.store.staging import digest_of, open_regular


@dataclass(frozen=True)
class CachedResult:
    """Outputs of an earlier run of the same key, verified; when (epoch seconds) and with which seed
    they were made."""

    outputs: dict[str, Produced]
    made: float
    dtype: str
    seed: int


class Results:
    """The result store of one cache folder. Blobs are 0444, written to a temporary name and
    renamed, never hard-linked: a link would let somebody change them in place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _blob(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def _entry(self, key: str) -> Path:
        return self.root / "keys" / key[:2] / f"{key}.json"

    def lookup(self, key: str) -> CachedResult | None:
        """The result of `key` when every blob of it is there and unharmed; a damaged one is
        removed."""
        try:
            entry = json.loads(self._entry(key).read_bytes())
            outputs = {name: self._verified(o) for name, o in entry["outputs"].items()}
            made, seed = float(entry["made"]), int(entry["seed"])
            return CachedResult(outputs, made, str(entry.get("dtype", "")), seed)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def find(self, sha256: str) -> Path | None:
        """A blob by its content, unharmed; None when it is not here."""
        try:
            return self._verified({"sha256": sha256, "size": 0, "extension": ""}).path
        except (OSError, ValueError):
            return None

    def _verified(self, output: dict[str, Any]) -> Produced:
        path = self._blob(output["sha256"])
        if digest_of(path) != output["sha256"]:
            path.unlink()
            raise ValueError("the blob was changed")
        os.utime(path)  # least recently used goes first
        return Produced(path, output["sha256"], output["size"], output["extension"])

    def commit(
        self, key: str, outputs: dict[str, Produced], dtype: str, seed: int = 0
    ) -> dict[str, Produced]:
        """Keep checked outputs under `key`; what is returned lies in the store."""
        with naming_the_mount(self.root):
            kept = {name: self._keep(produced) for name, produced in outputs.items()}
            document = {
                "outputs": {
                    name: {"sha256": p.sha256, "size": p.size, "extension": p.extension}
                    for name, p in kept.items()
                },
                "made": time.time(),
                "dtype": dtype,
                "seed": seed,
            }
            entry = self._entry(key)
            make_private(entry.parent)
            write_atomic(entry, json.dumps(document).encode())
        return kept

    def _keep(self, produced: Produced) -> Produced:
        """A blob that is there already is replaced: nobody has looked at its bytes, and these are
        known to be good."""
        blob = self._blob(produced.sha256)
        if produced.path != blob:
            make_private(blob.parent)
            part = blob.with_name(f".{blob.name}.{os.getpid()}.{threading.get_ident()}")
            try:
                _copy(produced.path, part)
                part.chmod(0o444)
                part.replace(blob)
            finally:
                part.unlink(missing_ok=True)
        return Produced(blob, produced.sha256, produced.size, produced.extension)

    def remember(self, step: str, document: dict[str, Any]) -> None:
        """Write down the key document that `step` ran with last, to explain the next run by it."""
        path = self._last(step)
        make_private(path.parent)
        write_atomic(path, json.dumps(document).encode())

    def remembered(self, step: str) -> dict[str, Any] | None:
        """The key document of the last run of `step`, or None."""
        try:
            document = json.loads(self._last(step).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def _last(self, step: str) -> Path:
        return self.root / "last" / f"{step}.json"

    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    def trim(self, to_bytes: int, *, dry_run: bool = False) -> int:
        """Remove the least recently used blobs until at most `to_bytes` remain; bytes freed."""
        blobs = [path for path in (self.root / "sha256").glob("*/*") if path.is_file()]
        blobs.sort(key=lambda path: path.stat().st_mtime)
        excess = sum(path.stat().st_size for path in blobs) - to_bytes
        freed = 0
        for blob in blobs:
            if freed >= excess:
                break
            freed += blob.stat().st_size
            if not dry_run:
                with contextlib.suppress(OSError):
                    blob.unlink()
        if freed and not dry_run:
            self._drop_entries_without_blobs()
        return freed

    def _drop_entries_without_blobs(self) -> None:
        for entry in (self.root / "keys").glob("*/*.json"):
            try:
                outputs = json.loads(entry.read_bytes())["outputs"].values()
                whole = all(self._blob(output["sha256"]).exists() for output in outputs)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                whole = False
            if not whole:
                entry.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    """Move when it is the same file system, else copy; either way the bytes are on disk after
    it."""
    try:
        source.rename(part)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    with open_regular(source) as reader, part.open("xb") as writer:
        copy_bytes(reader.fileno(), writer.fileno(), os.fstat(reader.fileno()).st_size)
        os.fsync(writer.fileno())
