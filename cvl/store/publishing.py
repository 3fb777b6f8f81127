"""Outputs at their targets: put there so that no half is ever seen."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvl import faultpoint
from cvl.core.names import printable
from cvl.core.provenance import Patch
from cvl.disks import naming_the_mount
from cvl.errors import TargetExistsError
from cvl.store.atomic import remove_tree, rename_new, sync_folder
from cvl.store.folders import FolderError, copy_file, copy_tree, measure
from cvl.store.outputs import Produced
from cvl.store.patching import CARRIERS, copy_patched, patch_of, unpatched_digest
from cvl.store.staging import digest_of
from cvl.store.targets import Target, file_mode, make_staging, refuse_existing

ANOTHER = "give another --output"


@dataclass(frozen=True)
class Finished:
    """What is published: a checked output, and how the statement of how it was made goes in."""

    produced: Produced
    patch: Patch | None

    def is_at(self, path: Path) -> bool:
        """Are these very bytes there already?"""
        try:
            if path.is_symlink():
                return False
            if path.is_dir():
                return self.produced.path.is_dir() and measure(path).sha256 == self.produced.sha256
            size = self.patch.size if self.patch else self.produced.size
            if not path.is_file() or path.stat().st_size != size:
                return False
            digest = unpatched_digest(path, self.patch) if self.patch else digest_of(path)
        except (OSError, FolderError):
            return False
        return digest == self.produced.sha256


def finish(produced: Produced, payload: bytes) -> Finished:
    """`payload`: a statement of how it was made, for formats that have a place for one."""
    patch = patch_of(produced.path, payload) if produced.extension in CARRIERS else None
    return Finished(produced, patch)


def publish(
    produced: Produced, target: Target, check: Callable[[], None], payload: bytes = b""
) -> bool:
    """Put the output at its target in one rename; False when the same bytes are there already.
    `check` is called last before the rename, and may raise to leave the target as it is.

    Raises TargetExistsError when something else is there and overwriting was not allowed.
    """
    return put(finish(produced, payload), target, check)


def put(finished: Finished, target: Target, check: Callable[[], None]) -> bool:
    """`publish`, with the statement prepared."""
    part = stage(finished, target, "output")
    if part is None:
        return False
    place(part, target, check)
    return True


def stage(finished: Finished, target: Target, name: str) -> Path | None:
    """Write the output, as `name`, beside its target; None when the same bytes are there already.
    DiskFullError and TargetExistsError leave the target as it is."""
    if finished.is_at(target.path):
        return None
    refuse_existing(target)
    source, part = finished.produced.path, target.staging / name
    with naming_the_mount(target.path.parent, ANOTHER):
        make_staging(target)
        remove_tree(part)
        if finished.patch is not None:
            copy_patched(source, part, file_mode(), finished.patch)
        else:
            copy = copy_tree if source.is_dir() else copy_file
            copy(source, part, file_mode())
    return part


def place(part: Path, target: Target, check: Callable[[], None]) -> None:
    """The rename that publishes what was staged."""
    with naming_the_mount(target.path.parent, ANOTHER):
        faultpoint.reach("before_replace")
        check()
        _rename(part, target)
    sync_folder(target.path.parent)


def _rename(part: Path, target: Target) -> None:
    """Replace, or create without replacing: a link cannot win over a file that appeared
    meanwhile."""
    if part.is_dir():
        _rename_folder(part, target)
        return
    if target.overwrite:
        part.replace(target.path)
        return
    try:
        os.link(part, target.path)
        part.unlink()
    except FileExistsError:
        refuse_existing(target)
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        try:  # no hard links on this file system
            rename_new(part, target.path)
        except FileExistsError:
            refuse_existing(target)
            raise


def _rename_folder(part: Path, target: Target) -> None:
    """A folder takes the place of nothing: what was there might be more than one run's work."""
    try:
        rename_new(part, target.path)
    except FileExistsError:
        shown = printable(str(target.path), 300)
        hint = "give another --output: a folder is new"
        raise TargetExistsError(f"{shown} exists", hint=hint) from None
