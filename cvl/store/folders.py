"""Folders as inputs and outputs: plain files and folders only, not too many, known by content."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cvl.core.names import folded, not_utf8
from cvl.store.atomic import copy_bytes
from cvl.store.staging import digest_of, open_regular

MAX_FILES = 1000
MAX_PATH = 1024
SPARSE_SLACK = 1 << 20


class FolderError(ValueError):
    """What is wrong with a folder, to be said after its name."""


@dataclass(frozen=True)
class Tree:
    """Content of a folder: sha256 over names and contents, and the bytes of all files."""

    sha256: str
    size: int


def measure(path: Path) -> Tree:
    """Look at every file below `path`, following no link; FolderError for anything not plain, and
    as soon as it is too much."""
    digest, size = hashlib.sha256(), 0
    folders, files = _entries(path)
    for name in files:
        try:
            with open_regular(path / name) as stream:
                size += os.fstat(stream.fileno()).st_size
            digest.update(f"{name}\0{digest_of(path / name)}\n".encode())
        except PermissionError:
            raise FolderError("holds something that cannot be read") from None
        except OSError:
            raise FolderError("holds something that is not a plain file") from None
    if not folders and not files:
        raise FolderError("is empty")
    return Tree(digest.hexdigest(), size)


def refuse_clashes(path: Path) -> None:
    """FolderError for names that are one on a disk which tells no case, or no two ways to write an
    accent, apart: a copy there would lose a file. And for files that claim more than they hold."""
    folders, files = _entries(path)
    seen: dict[str, str] = {}
    for name in (*folders, *files):
        other = seen.setdefault(folded(name), name)
        if other != name:
            raise FolderError(f"holds {other!r} and {name!r}, which are one name on some disks")
    if any(is_sparse((path / name).lstat()) for name in files):
        raise FolderError("holds a sparse file")


def copy_tree(source: Path, target: Path, mode: int) -> None:
    """Copy the plain files below `source` into the new folder `target`; files get `mode`."""
    folders, files = _entries(source)
    for name in ("", *folders):
        (target / name).mkdir()
    for name in files:
        copy_file(source / name, target / name, mode)


def _entries(path: Path) -> tuple[list[str], list[str]]:
    """Names below `path` of folders, and of everything else; each in order, parents first."""
    folders: list[str] = []
    files: list[str] = []
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(path / parent) as entries:
                for entry in entries:
                    name = os.path.join(parent, entry.name)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    (folders if is_folder else files).append(name)
                    waiting += [name] if is_folder else []
                    _refuse_name(name, len(folders) + len(files))
        except OSError:
            raise FolderError("holds something that cannot be read") from None
    return sorted(folders), sorted(files)


def _refuse_name(name: str, count: int) -> None:
    if count > MAX_FILES:
        raise FolderError(f"holds more than {MAX_FILES} files")
    if not_utf8("", name):
        raise FolderError("holds a name that is not UTF-8")
    if len(name.encode()) > MAX_PATH:
        raise FolderError(f"is too deep: a path in it is longer than {MAX_PATH} bytes")


def is_sparse(status: os.stat_result) -> bool:
    """Does a file claim far more bytes than it holds? A file system that compresses makes holes
    too."""
    return status.st_size // 2 - status.st_blocks * 512 > SPARSE_SLACK


def copy_file(source: Path, target: Path, mode: int) -> None:
    """Copy a plain file to the new file `target`; its bytes are on disk afterwards."""
    with open_regular(source) as reader, open(target, "xb") as writer:
        copy_bytes(reader.fileno(), writer.fileno(), os.fstat(reader.fileno()).st_size)
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())
