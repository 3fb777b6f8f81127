"""Small disks of the tests' own, which can be filled to the last page and are gone afterwards."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.people import needs_root

PAGE = 4096
SLACK = 1 << 20
SETTLED_S = 20
FULL = bool(os.environ.get("CVL_TEST_FULL"))
ROUNDS = 20 if FULL else 5


@dataclass(frozen=True)
class Disk:
    """A file system of its own at `mount`."""

    mount: Path

    @property
    def free(self) -> int:
        found = os.statvfs(self.mount)
        return found.f_bavail * found.f_frsize

    @property
    def used(self) -> int:
        """Bytes that are taken by anything but the ballast."""
        found = os.statvfs(self.mount)
        ballast = sum(path.stat().st_blocks * 512 for path in self._ballast())
        return (found.f_blocks - found.f_bfree) * found.f_frsize - ballast

    def comes_back_to(self, used: int) -> bool:
        """Is as much taken as before, or soon? An engine tidies up after it has answered."""
        end = time.monotonic() + SETTLED_S
        while abs(self.used - used) >= SLACK:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def fill(self, left: int = 0) -> None:
        """Leave `left` bytes, rounded down to a page."""
        self.clear()
        with (self.mount / "ballast").open("wb", buffering=0) as stream:
            with suppress(OSError):
                os.posix_fallocate(stream.fileno(), 0, max(PAGE, self.free - left))
            os.fsync(stream.fileno())
        if self.free < left:
            path = self.mount / "ballast"
            os.truncate(path, path.stat().st_size - (left - self.free))
        with (self.mount / "ballast.rest").open("wb", buffering=0) as stream, suppress(OSError):
            while self.free > left:
                stream.write(bytes(PAGE))

    def fill_inodes(self) -> None:
        """Leave bytes, and no room for another file."""
        for number in range(os.statvfs(self.mount).f_favail):
            with suppress(OSError):
                (self.mount / f"ballast.{number}").touch()

    def clear(self) -> None:
        for path in self._ballast():
            path.unlink()

    def _ballast(self) -> list[Path]:
        return list(self.mount.glob("ballast*"))


@contextmanager
def small_disk(mount: Path, megabytes: int, *, inodes: int = 0) -> Iterator[Disk]:
    """A tmpfs at `mount`, which is made when it is not there."""
    needs_root()
    mount.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m,mode=0700" + (f",nr_inodes={inodes}" if inodes else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "cvl-test", str(mount)], check=True)
    try:
        yield Disk(mount)
    finally:
        _unmount(mount)


@contextmanager
def loop_disk(image: Path, mount: Path, megabytes: int) -> Iterator[Disk]:
    """An ext4 file system in a sparse file."""
    needs_root()
    mount.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as stream:
        stream.truncate(megabytes << 20)
    make = ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard", str(image)]
    subprocess.run(make, check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/sbin"})
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        yield Disk(mount)
    finally:
        _unmount(mount)
        image.unlink()


def _unmount(mount: Path) -> None:
    """Also when something still has a file open on it."""
    subprocess.run(["umount", str(mount)], capture_output=True)
    if os.path.ismount(mount):
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def levels(size: int, start: int = 0) -> list[int]:
    """How many bytes to leave so that writing `size` bytes, after `start`, ends in another place
    each time: none, a page, some KB, half of it, almost enough; and some between these."""
    chosen = [0, PAGE, 3 * PAGE, size // 2, size - PAGE]
    between = ROUNDS - len(chosen)
    chosen += [size * number // (between + 1) for number in range(1, between + 1)]
    return [start + left for left in chosen]
