"""Programs in two tongues: Python source for a process, and a function for the fake engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvl.engine.fake import FakeContainer, Program

ACT, OUT = "CVL_TEST_ACT", "CVL_TEST_OUT"
LINES = 3000
BULK = 5 << 20


@dataclass(frozen=True)
class Act:
    """The same program twice."""

    source: str
    function: Program


def _echo(container: FakeContainer) -> int:
    container.write(hashlib.sha256(container.stdin).hexdigest().encode())
    return 0


def _count(container: FakeContainer) -> int:
    for number in range(LINES):
        container.write(b"%d\n" % number)
    return 0


def _flood(container: FakeContainer) -> int:
    container.write(b"x" * BULK)
    return 0


def _exit(code: int) -> Program:
    return lambda container: code


def _listen(container: FakeContainer) -> int:
    container.write(b"ready")
    container.wait_for_stop()
    container.write(b" bye")
    return 7


def _deaf(container: FakeContainer) -> int:
    container.write(b"ready")
    container.wait_for_kill()
    return 0


def _write(container: FakeContainer) -> int:
    container.host("/out/made").write_text("made")
    return 0


# Not print: the stop may come while it is at work, and it cannot be called by a handler then.
LISTEN = """
import os, signal, sys
def end(signum, frame):
    os.write(1, b" bye")
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
os.write(1, b"ready")
while True: signal.pause()
"""
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", end="", flush=True)
while True: signal.pause()
"""
COUNT = f"for number in range({LINES}): print(number, flush=True)"
ECHO = """
import hashlib, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), end="")
"""

ACTS: dict[str, Act] = {
    "echo": Act(ECHO, _echo),
    "count": Act(COUNT, _count),
    "flood": Act(f"print('x' * {BULK}, end='')", _flood),
    "exit 0": Act("raise SystemExit(0)", _exit(0)),
    "exit 3": Act("raise SystemExit(3)", _exit(3)),
    "exit 137": Act("import os; os.kill(os.getpid(), 9)", _exit(137)),
    "listen": Act(LISTEN, _listen),
    "deaf": Act(DEAF, _deaf),
    "write": Act("open('/out/made', 'w').write('made')", _write),
}


def command(act: str) -> tuple[str, ...]:
    """argv of an act in a container; its last word names the act."""
    return ("python", "-u", "-c", ACTS[act].source, act)


def environment(act: str, folder: Path) -> dict[str, str]:
    """What predict() reads. folder: what a container has at /out."""
    return {ACT: act, OUT: str(folder)}


def predict() -> str:
    """predict.py of an environment that knows every act."""
    sources = {name: act.source for name, act in ACTS.items()}
    return f"""\
import os
source = {sources!r}[os.environ[{ACT!r}]]
exec(source.replace("/out", os.environ[{OUT!r}]), {{"__name__": "__main__"}})
"""


def play(container: FakeContainer) -> int:
    """The program of a fake engine that knows every act."""
    function: Callable[[FakeContainer], int] = ACTS[container.spec.command[-1]].function
    return function(container)
