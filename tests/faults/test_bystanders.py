"""Whose containers are left alone: another user's, another CVL_HOME's, another pid namespace's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import STUBS, Cvl, environment_for
from tests.support.engine import Engine
from tests.support.people import as_user, elsewhere, needs_root
from tests.support.sleeping import SLEEP, until_it_works

pytestmark = pytest.mark.docker


@contextmanager
def _living_run(command: list[str], environment: dict[str, str], cwd: Path) -> Iterator[None]:
    """A run of somebody else that is in the middle of its work while the block is executed."""
    process = subprocess.Popen(
        [*command, "-m", "cvl", *SLEEP, "-o", "s.txt"],
        env={**environment, "CVL_EXAMPLES": str(STUBS)},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until_it_works(process)
        yield
        assert process.poll() is None, "a bystander's run ended"
    finally:
        os.kill(_innermost(process.pid), signal.SIGTERM)
        process.communicate(timeout=30)


def _innermost(pid: int) -> int:
    """The process itself, or the child that `unshare --fork` waits for and passes no signal to."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return int(children[0]) if command.startswith(b"unshare") else pid


def test_other_peoples_live_containers_survive_kills_and_gc(
    engine: Engine, engine_env: dict[str, str], cvl: Cvl, tmp_path: Path
) -> None:
    needs_root()
    other_home = environment_for(engine, tmp_path / "other")
    with ExitStack() as living:
        neighbour = living.enter_context(elsewhere())
        user = as_user(engine, neighbour)
        stranger = environment_for(engine, neighbour / "home")
        living.enter_context(_living_run(user.command, {**stranger, **user.environment}, neighbour))
        living.enter_context(_living_run([sys.executable], other_home, tmp_path))
        namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable]
        living.enter_context(_living_run(namespace, engine_env, tmp_path))
        before = set(engine.docker("ps", "--quiet").split())
        assert len(before) >= 3
        for point in ("created", "started", "mid_run"):
            run = ("run", "stub", "predict", "--no-cache", "-o", "o.txt", "--overwrite")
            cvl(*run, env={"CVL_FAULT": f"{point}:SIGKILL"})
            assert cvl(*run).returncode == 0
        assert cvl("gc", "--yes").returncode == 0
        assert set(engine.docker("ps", "--quiet").split()) == before
