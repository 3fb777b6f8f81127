"""Folders as inputs and outputs: plain files and folders only, not too many, known by content."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cvl.store.atomic import copy_bytes
from cvl.store.staging import digest_of, open_regular

MAX_FILES = 1000


class FolderError(ValueError):
    """What is wrong with a folder, to be said after its name."""


@dataclass(frozen=True)
class Tree:
    """Content of a folder: sha256 over names and contents, and the bytes of all files."""

    sha256: str
    size: int


def measure(path: Path) -> Tree:
    """Look at every file below `path`, following no link; FolderError for anything not plain."""
    digest, size, count = hashlib.sha256(), 0, 0
    for item in sorted(path.rglob("*")):
        count += 1
        if count > MAX_FILES:
            raise FolderError(f"holds more than {MAX_FILES} files")
        if stat.S_ISDIR(item.lstat().st_mode):
            continue
        try:
            with open_regular(item) as stream:
                size += os.fstat(stream.fileno()).st_size
        except OSError:
            raise FolderError("holds something that is not a plain file") from None
        digest.update(os.fsencode(item.relative_to(path)) + f"\0{digest_of(item)}\n".encode())
    if count == 0:
        raise FolderError("is empty")
    return Tree(digest.hexdigest(), size)


def copy_tree(source: Path, target: Path, mode: int) -> None:
    """Copy the plain files below `source` into the new folder `target`; files get `mode`."""
    target.mkdir()
    for item in sorted(source.rglob("*")):
        place = target / item.relative_to(source)
        if stat.S_ISDIR(item.lstat().st_mode):
            place.mkdir()
        else:
            copy_file(item, place, mode)


def copy_file(source: Path, target: Path, mode: int) -> None:
    """Copy a plain file to the new file `target`; its bytes are on disk afterwards."""
    with open_regular(source) as reader, open(target, "xb") as writer:
        copy_bytes(reader.fileno(), writer.fileno(), os.fstat(reader.fileno()).st_size)
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())
