"""Another user of this machine, who may use Docker and has no other rights."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.engine import Engine

UID = 1234
REPOSITORY = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Person:
    """How to run Python as this user."""

    uid: int
    gid: int
    command: list[str]
    environment: dict[str, str]


def needs_root() -> None:
    """Only root can become somebody else."""
    if os.geteuid() != 0:
        raise RuntimeError("this test becomes another user, which only root can; run it as root")


@contextmanager
def elsewhere() -> Iterator[Path]:
    """A folder that other users can reach: pytest's own are closed to everybody else."""
    with tempfile.TemporaryDirectory(prefix="cvl-people-") as name:
        Path(name).chmod(0o711)
        home = Path(name) / "private"
        home.mkdir()
        yield home


def as_user(engine: Engine, home: Path, uid: int = UID) -> Person:
    """A user without a passwd entry, in the group that may use the engine's socket; `home` becomes
    theirs alone."""
    group = Path(engine.host.removeprefix("unix://")).stat().st_gid
    os.chown(home, uid, uid)
    home.chmod(0o700)
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={group}", "--"]
    paths = [str(REPOSITORY), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(paths), "USER": "somebody"}
    return Person(uid, uid, [*become, *interpreter(become, environment)], environment)


@cache
def as_uid(uid: int) -> tuple[str, ...]:
    """The command that runs Python as `uid`, who has no name, no home and no group."""
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    paths = [str(REPOSITORY), *(path for path in sys.path if path.endswith("site-packages"))]
    return (*become, *interpreter(become, {"PYTHONPATH": os.pathsep.join(paths)}))


def interpreter(become: list[str], environment: dict[str, str]) -> list[str]:
    """The first Python that this user may run and that imports cvl: ours may be out of reach."""
    for path in (sys.executable, "/usr/bin/python3"):
        result = subprocess.run(
            [*become, path, "-c", "import cvl.cli.app, pydantic_core"],
            env={**os.environ, **environment},
            capture_output=True,
            cwd="/",
            check=False,
        )
        if result.returncode == 0:
            return [path]
    raise RuntimeError("no Python that another user may run can import cvl")
