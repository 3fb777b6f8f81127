"""One holder per GPU on the whole machine, whoever the users are: a lock file per GPU UUID.

The folder is shared and sticky, like /tmp, and whoever comes first makes it. So nothing in it is
believed: no link is followed, and only a plain file with this one name is written to. Folder and
files get their modes before their names, so that nobody ever meets them half made.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cvl.core.names import did_you_mean, printable
from cvl.disks import full_disk, names_full
from cvl.errors import CvlError, GpuError, InputError, StateError
from cvl.machine.gpus import Gpu

POLL_S = 0.2
SHARED_FILE, SHARED_FOLDER = 0o666, 0o1777
WRITTEN = "pid "
"""What the text in a lease file begins with, if it holds any."""


@dataclass(frozen=True)
class Wanted:
    """What `--gpus` asks for: `count` of `candidates` (UUIDs)."""

    candidates: tuple[str, ...]
    count: int


def lease_folder() -> Path:
    """CVL_LEASE_DIR, else a folder that every user of the machine can reach: the same one for all,
    so what counts is not whether this user can write to it."""
    named = os.environ.get("CVL_LEASE_DIR")
    if named:
        return Path(named)
    shared = Path("/run/lock")
    root = shared if shared.is_dir() and _everybody_writes(shared) else Path("/tmp")
    return root / "cvl-leases"


def _everybody_writes(folder: Path) -> bool:
    return folder.stat().st_mode & SHARED_FOLDER == SHARED_FOLDER


def select(spec: str, gpus: list[Gpu]) -> Wanted:
    """`--gpus` in the syntax of docker: `all`, a count (`2`), `device=0,2` by index or UUID, or a
    UUID by itself.

    Raises GpuError when there are fewer, InputError when it names none that exists.
    """
    if not gpus:
        raise GpuError(
            "this machine has no NVIDIA GPU that cvl can see",
            hint="run: cvl doctor; or give --gpus none to go on without one, where the model can",
        )
    if spec == "all":
        return Wanted(tuple(gpu.uuid for gpu in gpus), len(gpus))
    if spec.isascii() and spec.isdigit():
        return _counted(int(spec), gpus)
    names = spec.removeprefix("device=").split(",")
    chosen = tuple(dict.fromkeys(_named(name.strip(), gpus) for name in names))
    return Wanted(chosen, len(chosen))


def _counted(count: int, gpus: list[Gpu]) -> Wanted:
    if count < 1:
        raise InputError(
            "--gpus 0 is no GPU at all",
            hint="--gpus none says so; --gpus device=0 is the first GPU",
        )
    if count > len(gpus):
        raise GpuError(
            f"{count} GPUs were asked for and this machine has {len(gpus)}",
            hint=f"give --gpus {len(gpus)}",
            code="not_enough_gpus",
        )
    return Wanted(tuple(gpu.uuid for gpu in gpus), count)


def _named(part: str, gpus: list[Gpu]) -> str:
    for gpu in gpus:
        if part == str(gpu.index) or part == gpu.uuid:
            return gpu.uuid
    begins = [
        gpu.uuid for gpu in gpus if len(part) > 4 and gpu.uuid.lower().startswith(part.lower())
    ]
    if len(begins) == 1:
        return begins[0]
    names = [str(gpu.index) for gpu in gpus] + [gpu.uuid for gpu in gpus]
    raise InputError(
        f"--gpus names no GPU of this machine: {part!r}", hint=did_you_mean(part, names)
    )


@contextlib.contextmanager
def leased(
    wanted: Wanted, pause: Callable[[float], None], on_wait: Callable[[str], None]
) -> Iterator[tuple[str, ...]]:
    """Hold `wanted.count` GPUs exclusively; yields their UUIDs. All or none are held at a time, so
    that two waiters cannot block each other. `pause` may raise to give up."""
    folder = open_folder()
    said = False
    while True:
        held = _try(folder, wanted)
        if len(held) == wanted.count:
            break
        _release(held)
        if not said:
            on_wait(f"waiting for a GPU: {_holders(folder, wanted)}")
            said = True
        pause(POLL_S)
    try:
        yield tuple(held)
    finally:
        _release(held)


def _try(folder: Path, wanted: Wanted) -> dict[str, int]:
    held: dict[str, int] = {}
    try:
        for uuid in wanted.candidates:
            if len(held) == wanted.count:
                break
            descriptor = _lock(folder / f"{uuid}.lock")
            if descriptor is not None:
                held[uuid] = descriptor
    except OSError as error:
        _release(held)
        raise _unusable(f"a lease in {folder}", folder, error) from error
    return held


def _lock(path: Path) -> int | None:
    """The open, locked lease file, or None while another process has it."""
    descriptor = open_shared(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # who holds it is said to others where there is room for it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{WRITTEN}{os.getpid()} of uid {os.getuid()}".encode(), 0)
    return descriptor


def _release(held: dict[str, int]) -> None:
    for descriptor in held.values():
        os.close(descriptor)


def _holders(folder: Path, wanted: Wanted) -> str:
    texts = []
    for uuid in wanted.candidates:
        with (
            contextlib.suppress(OSError),
            open(open_shared(folder / f"{uuid}.lock"), "rb") as file,
        ):
            texts.append(printable(file.read(100).decode(errors="replace")))
    return "held by " + (", ".join(text for text in texts if text) or "another process")


def open_folder() -> Path:
    """The folder of leases, made when it is not there."""
    folder = lease_folder()
    try:
        if not os.path.lexists(folder):
            _make_folder(folder)
        status = folder.lstat()
        shared = status.st_mode & SHARED_FOLDER == SHARED_FOLDER
        # Root may put its own in the place of an empty one that we have just made.
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not shared:
            folder.chmod(SHARED_FOLDER)
            status = folder.lstat()
    except OSError as error:
        raise _unusable(f"the lease folder {folder}", folder, error) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & SHARED_FOLDER != SHARED_FOLDER:
        raise StateError(
            f"the lease folder {folder} is not one that all users share (uid {status.st_uid}"
            f" made it, {stat.filemode(status.st_mode)})",
            hint=f"sudo rm -r {folder}: the next run makes it anew",
            code="leases_not_shared",
        )
    return folder


def _make_folder(folder: Path) -> None:
    """Under another name first: its mode is right when it gets its own."""
    import tempfile

    folder.parent.mkdir(exist_ok=True, parents=True)
    made = Path(tempfile.mkdtemp(prefix=".cvl-leases-", dir=folder.parent))
    try:
        made.chmod(SHARED_FOLDER)
        made.rename(folder)  # fails where there is something by now, but an empty folder
    except OSError:
        made.rmdir()
        if not os.path.lexists(folder):
            raise


def _unusable(what: str, folder: Path, error: OSError) -> CvlError:
    if names_full(error):
        return full_disk(folder, "name a folder on another disk with CVL_LEASE_DIR", error)
    return StateError(f"cannot use {what}: {error.strerror}")


def open_shared(path: Path) -> int:
    """The lease file, made when it is not there. OSError for what is not one: writing to it would
    change a file of somebody's."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and _is_lease(descriptor):
                return descriptor
            os.close(descriptor)
            raise OSError(errno.EPERM, f"{path.name} is no lease file")
        _make_file(path)


def _is_lease(descriptor: int) -> bool:
    """Whoever holds it may be writing to it right now."""
    text = os.pread(descriptor, len(WRITTEN), 0)
    return WRITTEN.encode().startswith(text)


def _make_file(path: Path) -> None:
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        os.fchmod(descriptor, SHARED_FILE)
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.close(descriptor)
        os.unlink(name)
