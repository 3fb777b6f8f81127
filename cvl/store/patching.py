"""Files with a statement of how they were made put into them, and such files read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cvl.core.provenance import Patch, patch_for, payload_in
from cvl.store.atomic import copy_bytes
from cvl.store.staging import CHUNK, open_regular

CARRIERS = frozenset(("mp4", "m4v", "mov", "m4a", "wav", "png"))
"""Extensions of outputs that can hold a statement."""


def patch_of(path: Path, payload: bytes) -> Patch | None:
    """How to put `payload` into a file; None when it has no place for one."""
    if not payload or path.is_dir():
        return None
    with open_regular(path) as stream:
        return patch_for(stream, os.fstat(stream.fileno()).st_size, payload)


def copy_patched(source: Path, target: Path, mode: int, patch: Patch) -> None:
    """Copy a plain file to the new file `target` with its patch; its bytes are on disk
    afterwards."""
    with open_regular(source) as reader, open(target, "xb") as writer:
        copy_bytes(reader.fileno(), writer.fileno(), patch.cut)
        writer.truncate(patch.cut)
        for offset, data in ((patch.head_at, patch.head), (patch.cut, patch.tail)):
            writer.seek(offset)
            writer.write(data)
        writer.flush()
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())


def unpatched_digest(path: Path, patch: Patch) -> str:
    """sha256 of what `path` was before the patch; empty when it holds another one."""
    digest, end = hashlib.sha256(), patch.head_at + len(patch.head)
    with path.open("rb") as stream:
        stream.seek(patch.cut)
        if stream.read(len(patch.tail) + 1) != patch.tail:
            return ""
        stream.seek(0)
        start = stream.read(min(end, patch.cut))
        if start[patch.head_at :] != patch.head:
            return ""
        digest.update(start[: patch.head_at] + patch.old_head)
        left = patch.cut - len(start)
        while left > 0 and (data := stream.read(min(CHUNK, left))):
            digest.update(data)
            left -= len(data)
    digest.update(patch.rest)
    return digest.hexdigest()


def statement_in(path: Path) -> bytes | None:
    """The statement in a file, as untrusted bytes; None when there is none."""
    with path.open("rb") as stream:
        return payload_in(stream, os.fstat(stream.fileno()).st_size)
