"""Run the tests in sessions side by side: `python -m tests.support.sessions test|faults`.

Tests with containers mostly wait. Those of tests/faults are in `faults` alone: as root in CI they
get an engine of their own, because a leak check sees whatever else happens in an engine. The output
of a session is shown when it is over, as a whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.support.engine import OWN
from tests.support.packages import may_install

EXAMPLES = "--ignore=tests/examples"
"""Those have a target of their own: make test-examples."""
STATE = (
    "tests/store", "tests/machine", "tests/venv", "tests/cli/test_harmless_output.py",
    "tests/cli/test_homes.py",
)  # fmt: skip
NAMES = "tests/containers/test_hostile_names.py"
"""Of their kind, though no fault."""
HUB = "tests/hub"
FULL = {"CVL_TEST_FULL": "1"}


@dataclass(frozen=True)
class Session:
    """One pytest: its arguments and what its environment has beside ours."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def sessions(target: str) -> list[Session]:
    """Those of `make test` or `make faults`."""
    if target == "faults":
        own = {OWN: "faults"} if may_install() else {}
        return [
            Session("faults", ("tests/faults", NAMES), {**own, **FULL}),
            Session("state", STATE, FULL),
            Session("hub", (HUB,), FULL),
        ]
    containers = ("-m", "docker", "--ignore=tests/faults", f"--ignore={NAMES}", EXAMPLES)
    return [
        Session("with containers", containers),
        Session("without containers", ("-m", "not docker", EXAMPLES, f"--ignore={HUB}")),
        Session("hub", (HUB,)),
    ]


def run(chosen: list[Session]) -> int:
    """The worst exit status of all."""
    began, worst = time.monotonic(), 0
    with contextlib.ExitStack() as files:
        logs = [files.enter_context(tempfile.TemporaryFile()) for _ in chosen]
        running = [_start(session, log) for session, log in zip(chosen, logs, strict=True)]
        for session, process, log in zip(chosen, running, logs, strict=True):
            worst = max(worst, abs(process.wait()))
            log.seek(0)
            print(f"== {session.name}, {time.monotonic() - began:.0f} s", flush=True)
            shutil.copyfileobj(log, sys.stdout.buffer)
            sys.stdout.flush()
    return worst


def _start(session: Session, log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *session.arguments],
        env={**os.environ, **session.environment},
        stdout=log,
        stderr=subprocess.STDOUT,
    )


if __name__ == "__main__":
    sys.exit(run(sessions(sys.argv[1])))
