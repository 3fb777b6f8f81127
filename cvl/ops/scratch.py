"""Private folders that live as long as a lock is held: `work/<kind>-<name>` with the lock of that
kind and name. A reaper removes those whose lock is free: their owner is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cvl.ops.session import Session
from cvl.store.atomic import remove_tree
from cvl.store.dirs import make_private
from cvl.store.locks import is_free

KINDS = ("build", "test", "shell", "doctor")


@contextlib.contextmanager
def scratch_folder(session: Session, kind: str, name: str) -> Iterator[Path]:
    """An empty folder for the holder of the lock `kind`/`name`; gone when the block ends."""
    folder = session.dirs.work / f"{kind}-{name}"
    remove_tree(folder)
    make_private(folder)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            remove_tree(folder)


def reap_scratch(session: Session) -> None:
    """Remove the folders whose lock nobody holds."""
    for kind in KINDS:
        for folder in session.dirs.work.glob(f"{kind}-*"):
            if is_free(session.lock_path(kind, folder.name.removeprefix(f"{kind}-"))):
                with contextlib.suppress(OSError):
                    remove_tree(folder)
