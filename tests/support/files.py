"""Small files that are what they say."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

from cvl.store.outputs import Produced

NOBODY = 65534
IN_OPEN = 0x20


def wav(path: Path, frames: int = 800) -> Path:
    """A WAV file of silence."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(8000)
        stream.writeframes(b"\0\0" * frames)
    return path


def produced(path: Path, data: bytes = b"new") -> Produced:
    """An output as a container leaves it, checked."""
    path.write_bytes(data)
    return Produced(path, hashlib.sha256(data).hexdigest(), len(data), "txt")


@contextlib.contextmanager
def opens_of(path: Path) -> Iterator[Callable[[], bool]]:
    """Watched by the kernel: has anybody opened `path`, or what is in it where it is a folder?"""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, bytes(path), IN_OPEN) >= 0

    def opened() -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(watch, 4096))
        return False

    try:
        yield opened
    finally:
        os.close(watch)


@contextlib.contextmanager
def read_only_folder() -> Iterator[Path]:
    """A folder of ours that we cannot write to: as root, by not being root for a while."""
    folder = Path(tempfile.mkdtemp(prefix="cvl-read-only-"))
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def picture(path: Path, width: int, height: int) -> Path:
    """A PNG of one colour."""
    from PIL import Image

    Image.new("RGB", (width, height)).save(path)
    return path


@contextlib.contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder of a user who is not root, and we are that user for a while."""
    with tempfile.TemporaryDirectory(prefix="cvl-nobody-") as name:
        root = os.geteuid() == 0
        if root:
            os.chown(name, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


def nested(path: Path, levels: int, name: str) -> None:
    """Folders in folders, deeper than a path can say; a file in the last."""
    path.mkdir()
    here = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
