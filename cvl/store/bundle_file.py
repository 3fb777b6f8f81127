"""A bundle of weights on disk: written in one go, read only after every byte of it was looked at.
Neither takes more memory for more bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cvl.core import bundle as form
from cvl.core.bundle import BadBundle, Bundle, Member
from cvl.store.atomic import rename_new, sync_folder

CHUNK = 1 << 20
Passed = Callable[[int], None]
"""Told of every few bytes; may raise to give up."""


class ChangedFile(ValueError):
    """A file is no longer what it was when it was looked at; the message is its path."""


def write_bundle(
    path: Path, bundle: Bundle, places: Mapping[str, Path], passed: Passed, *, replace: bool
) -> int:
    """Write `path`, which is there as a whole or not at all; return its size. places: sha256 ->
    file. Raises FileExistsError, ChangedFile, OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:32]}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _write(stream, bundle, places, passed)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
            size = stream.tell()
        if replace:
            temporary.replace(path)
        else:
            rename_new(temporary, path)
        sync_folder(path.parent)
        return size
    finally:
        temporary.unlink(missing_ok=True)


def _write(stream: BinaryIO, bundle: Bundle, places: Mapping[str, Path], passed: Passed) -> None:
    manifest = form.written(bundle)
    stream.write(form.header(form.MANIFEST, len(manifest)))
    stream.write(manifest + bytes(form.padding(len(manifest))))
    for sha256, size in bundle.contents.items():
        stream.write(form.header(form.blob_name(sha256), size))
        with places[sha256].open("rb") as source:
            digest = hashlib.sha256()
            left = size
            while left and (chunk := source.read(min(CHUNK, left))):
                digest.update(chunk)
                stream.write(chunk)
                passed(len(chunk))
                left -= len(chunk)
            if left or source.read(1) or digest.hexdigest() != sha256:
                raise ChangedFile(str(places[sha256]))
        stream.write(bytes(form.padding(size)))
    stream.write(form.ending(stream.tell()))


@dataclass(frozen=True)
class OpenBundle:
    """A bundle whose bytes are all what it says they are."""

    path: Path
    bundle: Bundle
    members: tuple[Member, ...]

    @property
    def offsets(self) -> dict[str, int]:
        return {member.sha256: member.offset for member in self.members}


def read_bundle(path: Path, passed: Passed) -> OpenBundle:
    """Look at all of it. Raises BadBundle, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadBundle("it is no regular file")
        size = form.manifest_size(_exactly(stream, form.BLOCK))
        bundle = form.read_manifest(_exactly(stream, size))
        _check_zeros(stream, form.padding(size))
        members = form.members(bundle, size)
        _check_length(status.st_size, members, form.BLOCK + size + form.padding(size))
        git = _git_names(bundle)
        for member in members:
            form.check_header(_exactly(stream, form.BLOCK), member)
            _check_content(stream, member, git.get(member.sha256, ""), passed)
        _check_zeros(stream, status.st_size - stream.tell())
    return OpenBundle(Path(os.path.abspath(path)), bundle, members)


def copy_member(found: OpenBundle, member: Member, target: Path, passed: Passed) -> None:
    """Write one file anew. BadBundle when it is no longer what it was."""
    digest, left = hashlib.sha256(), member.size
    with found.path.open("rb") as source, target.open("wb") as stream:
        source.seek(member.offset)
        while left and (chunk := source.read(min(CHUNK, left))):
            digest.update(chunk)
            stream.write(chunk)
            passed(len(chunk))
            left -= len(chunk)
    if digest.hexdigest() != member.sha256:
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        raise BadBundle("it was changed while it was read")


def _check_length(size: int, members: tuple[Member, ...], start: int) -> None:
    last = members[-1] if members else None
    end = last.offset + last.size + form.padding(last.size) if last else start
    expected = end + len(form.ending(end))
    if size != expected:
        cut = "it was cut off: " if size < expected else ""
        raise BadBundle(f"{cut}it has {size} bytes where {expected} are to be")


def _git_names(bundle: Bundle) -> dict[str, str]:
    """sha256 -> what git calls the same bytes, for small files."""
    names: dict[str, str] = {}
    for repo in bundle.repos:
        for path, sha256 in repo.wanted.items():
            git = repo.listing[path].git
            if git and names.setdefault(sha256, git) != git:
                raise BadBundle("it says two things of one file")
    return names


def _check_content(stream: BinaryIO, member: Member, git: str, passed: Passed) -> None:
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % member.size)
    left = member.size
    while left and (chunk := stream.read(min(CHUNK, left))):
        sha256.update(chunk)
        if git:
            sha1.update(chunk)
        passed(len(chunk))
        left -= len(chunk)
    if sha256.hexdigest() != member.sha256 or (git and sha1.hexdigest() != git):
        raise BadBundle(f"{form.blob_name(member.sha256)} is not what it is called")
    _check_zeros(stream, form.padding(member.size))


def _check_zeros(stream: BinaryIO, size: int) -> None:
    if _exactly(stream, size).strip(b"\0"):
        raise BadBundle("it has bytes where none are to be")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise BadBundle("it was cut off")
    return data
