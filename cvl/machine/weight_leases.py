"""Nobody deletes weights that somebody uses: a lock file per repo, shared by those who use it and
taken alone by those who delete. In the lease folder of the machine, because other users and other
CVL_HOMEs share the cache; the kernel frees what a killed process held.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cvl.errors import StateError
from cvl.machine.leases import POLL_S, open_folder, open_shared

READABLE = 60


def lease_name(thing: Path) -> str:
    """The lease of a repo's folder, or of a file: the same for whoever comes to it, over whatever
    link or mount."""
    real = Path(os.path.realpath(thing))
    with contextlib.suppress(OSError):  # who cannot make it will not download either
        real.parent.mkdir(parents=True, exist_ok=True)
    try:
        status = real.parent.stat()
        place = f"{status.st_dev}:{status.st_ino}"
    except OSError:
        place = str(real.parent)
    digest = hashlib.sha256(f"{place}:{real.name}".encode()).hexdigest()
    return f"weights-{real.name[:READABLE]}-{digest[:16]}"


@contextlib.contextmanager
def shared(
    name: str, pause: Callable[[float], None], on_wait: Callable[[], None]
) -> Iterator[None]:
    """Use what the lease is of. While somebody deletes it, `on_wait` is called once and
    `pause(seconds)` between tries; pause may raise to give up."""
    descriptor = _open(name)
    try:
        waiting = False
        while not _lock(descriptor, fcntl.LOCK_SH):
            if not waiting:
                on_wait()
                waiting = True
            pause(POLL_S)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone(name: str) -> Iterator[str]:
    """Keep everybody from using what the lease is of; yields who uses it when somebody does, and
    empty text when nobody can any more."""
    descriptor = _open(name)
    try:
        if _lock(descriptor, fcntl.LOCK_EX):
            yield ""
        else:
            yield _users(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _open(name: str) -> int:
    folder = open_folder()
    try:
        return open_shared(folder / f"{name}.lock")
    except OSError as error:
        raise StateError(f"cannot use a lease in {folder}: {error.strerror}") from error


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _users(status: os.stat_result) -> str:
    """The processes that hold locks on a file, as far as the kernel tells."""
    pids: set[int] = set()
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            # 1: FLOCK ADVISORY READ PID MAJOR:MINOR:INODE START END; a waiter has "->" second.
            if words[1] == "FLOCK" and int(words[5].rpartition(":")[2]) == status.st_ino:
                pids.add(int(words[4]))
    found = sorted(pid for pid in pids if pid > 0)
    if not found:
        return "another process"
    return f"process {', '.join(map(str, found))}"
