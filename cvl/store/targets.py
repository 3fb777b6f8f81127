"""Where outputs go on the host: checked before anything runs."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cvl.core.names import printable
from cvl.errors import InputError, TargetExistsError
from cvl.store.atomic import remove_tree

STAGING = ".cvl-staging-"


@dataclass(frozen=True)
class Target:
    """Where an output goes on the host. The staging folder beside it proves, before anything runs,
    that the place can be written to, and makes the last rename stay on one file system."""

    path: Path
    staging: Path
    overwrite: bool
    numbered: bool = False
    """Nobody chose the name: where something else has it, the output gets the next number."""


def prepare_target(path: Path, run_id: str, overwrite: bool, *, numbered: bool = False) -> Target:
    """Check the place where an output will go; the staging folder is not made yet."""
    target = Path(os.path.abspath(path))
    numbered = numbered and not overwrite
    shown = printable(str(target), 300)
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise InputError(f"--output: {shown} cannot be used: {error.strerror}") from None
    if target.is_dir() and not numbered:
        raise InputError(f"--output: {shown} is a folder", hint="name a file in it")
    parent = target.parent
    if not parent.is_dir():
        raise InputError(f"--output: there is no folder {printable(str(parent), 300)}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"--output: {printable(str(parent), 300)} cannot be written to")
    return Target(target, parent / f"{STAGING}{run_id}", overwrite, numbered)


def make_staging(target: Target) -> None:
    """The staging folder, ours alone. Its name can be known to others while a run lasts, and the
    target's folder may be open to all: what they put there is not used."""
    with contextlib.suppress(FileExistsError):
        target.staging.mkdir(mode=0o700)
        return
    status = target.staging.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        shown = printable(str(target.staging), 300)
        raise InputError(f"--output: somebody else made {shown}", hint="give another folder")


def refuse_existing(target: Target) -> None:
    """Called before a run whose bytes nobody knows yet."""
    if not target.overwrite and os.path.lexists(target.path):
        raise TargetExistsError(
            f"{printable(str(target.path), 300)} exists",
            hint="give --overwrite to replace it, or another --output",
        )


def file_mode() -> int:
    """0666 less the umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def remove_staging(path: Path) -> None:
    """Remove a staging folder of ours: by its name, never through a link."""
    if path.name.startswith(STAGING) and not path.is_symlink():
        with contextlib.suppress(OSError):
            remove_tree(path)
