"""Other processes, for what must hold when there are two of them or when one is killed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python(
    code: str, *arguments: str, become: Sequence[str] = (), **environment: str
) -> subprocess.Popen[str]:
    """Start `code` in a Python of its own; its argv are `arguments`. become: a command that goes on
    as another user and ends with a Python for them."""
    return subprocess.Popen(
        [*(become or [sys.executable]), "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a process that ends by itself within a minute."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def said(process: subprocess.Popen[str]) -> str:
    """The next line that the process writes."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and wait until it is gone."""
    process.kill()
    process.communicate(timeout=60)


@dataclass(frozen=True)
class Measured:
    """A process that ended, and the CPU time (user and system) that it took."""

    code: int
    out: str
    err: str
    cpu_ms: float


def measured(
    command: list[str], environment: dict[str, str], cwd: Path, timeout_s: float = 60
) -> Measured:
    """Run a command to its end; the CPU time is that of this one child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(result.returncode, result.stdout, result.stderr, seconds * 1000)


QUIET_MS = 8
"""CPU of a bare interpreter, where the limits of CPU time were set."""


def cheap(run: Callable[[], Measured], limit_ms: float, tries: int = 12) -> tuple[bool, str]:
    """Whether any of these runs costs less than the limit, and if none did what each cost. Beside a
    run goes a bare interpreter: where that costs more than QUIET_MS (the machine is slower, or
    busy), the limit is the same multiple of it."""
    costs = []
    for _ in range(tries):
        bare = measured([sys.executable, "-I", "-S", "-c", ""], dict(os.environ), ROOT).cpu_ms
        costs.append((round(run().cpu_ms, 1), round(limit_ms * max(1.0, bare / QUIET_MS), 1)))
        if costs[-1][0] < costs[-1][1]:
            return True, ""
    return False, f"(cost, limit) in ms: {costs}"
