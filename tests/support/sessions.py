"""Tests in sessions side by side: `python -m tests.support.sessions test|test-examples|faults`.

Tests with containers mostly wait, so as root in CI two sessions of them run beside each other. Each
has an engine to itself, because a leak check sees whatever else happens in one; elsewhere there is
one engine. The output of a session is shown when it is over, as a whole.
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

from tests.support.engine import BRIDGE, OWN
from tests.support.packages import may_install

EXAMPLES = "tests/examples"
BUT_EXAMPLES = f"--ignore={EXAMPLES}"
AVATARS = tuple(
    f"{EXAMPLES}/test_{name}.py"
    for name in ("avatar_refusals", "hallo2", "models_agree", "sadtalker")
)
"""With their images built, about half of the time that examples take."""
NAMES = "tests/containers/test_hostile_names.py"
"""Of the kind of faults, though none."""
STARTS = ("tests/cli/test_harmless_output.py", "tests/cli/test_homes.py")
"""Hundreds of starts of cvl."""
DOWNLOADS = tuple(
    f"tests/hub/test_{name}.py" for name in ("faults", "full_disk", "many", "models_in_use")
)
"""Hundreds of those."""
STATE = ("tests/store", "tests/machine", "tests/venv", *STARTS)
LATER = tuple(f"--ignore={path}" for path in ("tests/faults", NAMES, *STARTS, *DOWNLOADS))
"""With `make faults` alone."""
OFFLINE = tuple(
    f"tests/containers/test_{name}.py"
    for name in ("gpu", "hostile_outputs", "never_twice", "secrets", "shell", "variations")
)
"""About half of the time that containers take; they need no network."""
HUB = "tests/hub"
BESIDE_HUB = ("tests/machine", "tests/store", "tests/test_wheel.py")
"""With those of the hub, about half of the time that tests without containers take."""
FULL = {"CVL_TEST_FULL": "1"}


@dataclass(frozen=True)
class Session:
    """One pytest: its arguments and what its environment has beside ours."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def sessions(target: str) -> list[Session]:
    """Those of `make test`, `make test-examples` or `make faults`."""
    if target == "faults":
        return [
            Session("faults", ("tests/faults", NAMES), {**_own_engine(), **FULL}),
            Session("state", STATE, FULL),
            Session("hub", (HUB,), FULL),
        ]
    if target == "test-examples":
        return [*_examples(), Session("without", ("-m", "not docker", EXAMPLES))]
    others = tuple(f"--ignore={path}" for path in (HUB, *BESIDE_HUB))
    return [
        *_with_containers(),
        Session("without containers", ("-m", "not docker", BUT_EXAMPLES, *LATER, *others)),
        Session("hub and state", ("-m", "not docker", *LATER, HUB, *BESIDE_HUB)),
    ]


def _with_containers() -> list[Session]:
    """Of `make test`."""
    some = ("-m", "docker", BUT_EXAMPLES, *LATER)
    if not may_install():
        return [Session("with containers", some)]
    return [
        Session("with containers", (*some, *(f"--ignore={file}" for file in OFFLINE))),
        Session("with containers, offline", ("-m", "docker", *OFFLINE), _own_engine()),
    ]


def _examples() -> list[Session]:
    """Of `make test-examples`: those in containers."""
    if not may_install():
        return [Session("in containers", ("-m", "docker", EXAMPLES))]
    others = tuple(f"--ignore={file}" for file in AVATARS)
    own = {OWN: "avatars", BRIDGE: "cvl-avatars", "CVL_TEST_MODELS": "avatars"}
    return [
        Session("in containers", ("-m", "docker", EXAMPLES, *others)),
        Session("avatars in containers", ("-m", "docker", *AVATARS), own),
    ]


def _own_engine() -> dict[str, str]:
    return {OWN: "faults"} if may_install() else {}


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
