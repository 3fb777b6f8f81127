"""Sidecars on disk: written whole beside their file, never over something that is none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cvl.core.names import printable
from cvl.core.provenance import ProvenanceError
from cvl.core.provenance.sidecar import (
    MAX_SIDECAR,
    Sidecar,
    decode_sidecar,
    encode_sidecar,
    sidecar_name,
)
from cvl.disks import naming_the_mount
from cvl.errors import InputError, TargetExistsError
from cvl.store.atomic import sync_folder
from cvl.store.targets import Target, file_mode, make_staging


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of `path` is."""
    return path.parent / os.fsdecode(sidecar_name(os.fsencode(path.name)))


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar at `path`; ProvenanceError when it is none, OSError when it is not there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        data = stream.read(MAX_SIDECAR + 1)
    if len(data) > MAX_SIDECAR:
        raise ProvenanceError("is not a sidecar of cvl")
    return decode_sidecar(data)


def check_sidecars(targets: Sequence[Target]) -> None:
    """Before anything runs: every sidecar has a place of its own, and may be written there."""
    if {target.path for target in targets} & {sidecar_path(target.path) for target in targets}:
        raise InputError("an output has the name of another one's sidecar")
    for target in targets:
        check_sidecar(target)


def check_sidecar(target: Target) -> None:
    """Refuse to replace something that is not a sidecar; called before anything runs too, when a
    name that nobody chose is not settled yet."""
    path = sidecar_path(target.path)
    if target.overwrite or target.numbered or not os.path.lexists(path):
        return
    try:
        read_sidecar(path)
    except (OSError, ProvenanceError):
        raise TargetExistsError(
            f"{printable(str(path), 300)} exists and is no sidecar of cvl",
            hint="give --overwrite to replace it, or another --output",
        ) from None


def write_sidecar(target: Target, sidecar: Sidecar) -> Path:
    """Put the sidecar of a published file in its place in one rename."""
    path = sidecar_path(target.path)
    check_sidecar(target)
    with naming_the_mount(path.parent, "give another --output"):
        make_staging(target)
        part = target.staging / "sidecar"
        with part.open("wb") as stream:
            stream.write(encode_sidecar(sidecar))
            stream.flush()
            os.fchmod(stream.fileno(), file_mode())
            os.fsync(stream.fileno())
        part.replace(path)
    sync_folder(path.parent)
    return path
