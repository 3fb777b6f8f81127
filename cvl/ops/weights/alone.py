"""One process at a time does what all would do alike; the others wait, and say for whom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvl.ops.session import Session
from cvl.store.locks import held, holder


@contextmanager
def only_one(session: Session, name: str, what: str) -> Iterator[None]:
    """Hold the lock on weights called `name`; `what` is what the user calls them."""
    path = session.lock_path("weights", name)

    def say_waiting() -> None:
        session.report.phase(what, "wait", f"another cvl ({who(path)}) is downloading it")

    with held(path, session.cancel.pause, say_waiting):
        path.write_text(str(os.getpid()))
        yield


def who(path: Path) -> str:
    """Who holds a lock, in words. Where the kernel does not say, what was written into the file
    by who had it last."""
    try:
        return f"process {holder(path) or int(path.read_text())}"
    except (OSError, ValueError):
        return "another process"
