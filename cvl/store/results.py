"""Results of steps by content: blobs under their sha256, and one small file per step key."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvl.disks import naming_the_mount
from cvl.store.atomic import copy_bytes, write_atomic
from cvl.store.dirs import make_private
from cvl.store.outputs import Produced
from cvl.store.staging import digest_of, open_regular

GRACE_S = 600
"""What was used in the last ten minutes is never trimmed."""
_BLOB = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CachedResult:
    """Outputs of an earlier run of the same key, verified; when (epoch seconds) and with what they
    were made."""

    outputs: dict[str, Produced]
    made: float
    dtype: str
    seed: int
    offload: str


class Damaged(Exception):
    """A result that was kept and is not what was kept."""


class Results:
    """The result store of one cache folder. Blobs are 0444, written to a temporary name and
    renamed, never hard-linked: a link would let somebody change them in place."""

    def __init__(self, root: Path, warn: Callable[[str], None] = lambda text: None) -> None:
        self.root, self._warn = root, warn

    def _blob(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def _entry(self, key: str) -> Path:
        return self.root / "keys" / key[:2] / f"{key}.json"

    def lookup(self, key: str) -> CachedResult | None:
        """The result of `key` when every blob of it is there and unharmed; one that is not is told
        as a warning, and what was changed is removed."""
        try:
            return self._read(key)
        except Damaged as damage:
            self._warn(f"a kept result is not used: {damage}")
            return None

    def _read(self, key: str) -> CachedResult | None:
        try:
            text = self._entry(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Damaged(str(error)) from None
        try:
            entry = json.loads(text)
            outputs = {name: self._verified(name, o) for name, o in entry["outputs"].items()}
            return CachedResult(
                outputs,
                float(entry["made"]),
                str(entry.get("dtype", "")),
                int(entry["seed"]),
                str(entry.get("offload", "none")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Damaged("its description cannot be read") from None

    def find(self, sha256: str) -> Path | None:
        """A blob by its content, unharmed; None when it is not here."""
        try:
            return self._verified("", {"sha256": sha256, "size": 0, "extension": ""}).path
        except (Damaged, ValueError):
            return None

    def _verified(self, name: str, output: dict[str, Any]) -> Produced:
        path = self._blob(output["sha256"])
        try:
            self._touch(path)
            digest = digest_of(path)
        except OSError as error:
            raise Damaged(f"its {name} cannot be read: {error.strerror}") from None
        if digest != output["sha256"]:
            path.unlink(missing_ok=True)
            raise Damaged(f"its {name} was changed on disk")
        return Produced(path, output["sha256"], output["size"], output["extension"])

    def commit(
        self,
        key: str,
        outputs: dict[str, Produced],
        dtype: str,
        seed: int = 0,
        *,
        offload: str = "none",
        example: str = "",
        replace: bool = False,
    ) -> CachedResult:
        """Keep checked outputs of `example` under `key`, and return what lies there now.

        The first to come wins, so that everybody who made the same step has the same bytes, unless
        `replace` says that the key shall point to these. DiskFullError when there is no room; then
        nothing of these is left here.
        """
        placed: dict[Path, os.stat_result] = {}
        with naming_the_mount(self.root), self._or_none_of(placed):
            kept = {name: self._keep(produced, placed) for name, produced in outputs.items()}
            made = CachedResult(kept, time.time(), dtype, seed, offload)
            entry = self._entry(key)
            make_private(entry.parent)
            with _locked(entry.parent, fcntl.LOCK_EX):
                found = None if replace else self._unharmed(key)
                if found is None:
                    write_atomic(entry, json.dumps(_document(made, example)).encode())
        return found or made

    @contextlib.contextmanager
    def _or_none_of(self, placed: dict[Path, os.stat_result]) -> Iterator[None]:
        """Blobs that no entry leads to take room until they are trimmed: those placed by a commit
        that fails go, unless somebody found them meanwhile."""
        try:
            yield
        except BaseException:
            for blob, status in placed.items():
                with contextlib.suppress(OSError):
                    self._remove(blob, status.st_mtime_ns + 1)
            raise

    def _unharmed(self, key: str) -> CachedResult | None:
        try:
            return self._read(key)
        except Damaged:
            return None

    def _keep(self, produced: Produced, placed: dict[Path, os.stat_result]) -> Produced:
        """A blob that is there already is replaced: nobody has looked at its bytes, and these are
        known to be good. `placed` gets one that was not."""
        blob = self._blob(produced.sha256)
        if produced.path != blob:
            known = blob.exists()
            make_private(blob.parent)
            part = blob.with_name(f".{blob.name}.{os.getpid()}.{threading.get_ident()}")
            try:
                _copy(produced.path, part)
                part.chmod(0o444)
                status = part.stat()
                part.replace(blob)
                if not known:
                    placed[blob] = status
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

    def blobs(self) -> dict[Path, os.stat_result]:
        """Every blob, least recently used first."""
        found: dict[Path, os.stat_result] = {}
        for path in (self.root / "sha256").glob("*/*"):
            with contextlib.suppress(OSError):
                if _BLOB.fullmatch(path.name):
                    found[path] = path.stat()
        return dict(sorted(found.items(), key=lambda item: item[1].st_mtime))

    def trim(
        self, to_bytes: int, *, unused_since: float | None = None, dry_run: bool = False
    ) -> int:
        """Remove the least recently used blobs until at most `to_bytes` remain; bytes freed. What
        was used since then (epoch seconds; GRACE_S ago when not given) stays: a run may be about to
        copy it."""
        before = time.time() - GRACE_S if unused_since is None else unused_since
        blobs = self.blobs()
        excess = sum(status.st_size for status in blobs.values()) - to_bytes
        freed = 0
        for blob, status in blobs.items():
            if freed >= excess or status.st_mtime >= before:
                break
            if dry_run or self._remove(blob, int(before * 1e9)):
                freed += status.st_size
        if freed and not dry_run:
            self._drop_entries_without_blobs(before)
        return freed

    def _touch(self, blob: Path) -> None:
        """Mark a blob as used, before it is looked at. That and the look of `_remove` exclude each
        other: either it is marked, and stays, or it is gone, and a miss."""
        with self._locked(fcntl.LOCK_SH):
            os.utime(blob)

    def _remove(self, blob: Path, before_ns: int) -> bool:
        """Remove a blob, unless it was used since."""
        with self._locked(fcntl.LOCK_EX), contextlib.suppress(OSError):
            if blob.stat().st_mtime_ns < before_ns:
                blob.unlink()
                return True
        return False

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """The lock of the whole store."""
        with _locked(self.root, how):
            yield

    def _drop_entries_without_blobs(self, before: float) -> None:
        """Those written since may have got their blobs since they were read."""
        for entry in (self.root / "keys").glob("*/*.json"):
            try:
                outputs = json.loads(entry.read_bytes())["outputs"].values()
                whole = all(self._blob(output["sha256"]).exists() for output in outputs)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                whole = False
            with contextlib.suppress(OSError):
                if not whole and entry.stat().st_mtime < before:
                    entry.unlink()


def _document(result: CachedResult, example: str) -> dict[str, Any]:
    return {
        "outputs": {
            name: {"sha256": p.sha256, "size": p.size, "extension": p.extension}
            for name, p in result.outputs.items()
        },
        "made": result.made,
        "dtype": result.dtype,
        "seed": result.seed,
        "offload": result.offload,
        "example": example,
    }


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Held for a few system calls, so that nobody has to be able to give up waiting. The lock is on
    the folder itself: no file is left, and none has to be made on a full disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _copy(source: Path, part: Path) -> None:
    """Move when it is the same file system, else copy; either way the bytes are on disk after
    it."""
    try:
        os.utime(source)  # the container may have written it long ago; it is used now
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
