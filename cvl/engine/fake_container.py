"""A container of the fake engine: a Python function in a thread, and what it may do."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from cvl.core.container import ContainerSpec, ContainerState
from cvl.engine.protocol import OnLog

KILLED, TERMINATED = 137, 143


class Killed(BaseException):
    """Raised in a program that was killed, at the next thing that it asks of its container."""


class FakeContainer:
    """A container, and what its program may do. `oom_killed` and `error` are the program's to
    set."""

    def __init__(self, identity: str, spec: ContainerSpec) -> None:
        self.id = identity
        self.spec = spec
        self.stdin = b""
        self.oom_killed = False
        self.error = ""
        self.exit_code = 0
        self.started = False
        self.ended = threading.Event()
        self._told = threading.Event()
        self._dead = False
        self._lock = threading.Lock()
        self._run: FakeRun | None = None

    @property
    def running(self) -> bool:
        return self.started and not self.ended.is_set()

    def write(self, data: bytes) -> None:
        """Append to the log, as a write to stdout or stderr does."""
        self._live()
        if self._run is not None:
            self._run.write(data)

    def host(self, path: str | PurePosixPath) -> Path:
        """Where a path in the container is on the host; FileNotFoundError when it is in no
        mount."""
        wanted = PurePosixPath(path)
        for mount in self.spec.mounts:
            if wanted.is_relative_to(mount.target):
                return Path(mount.source) / wanted.relative_to(mount.target)
        raise FileNotFoundError(f"{path} is in no mount")

    def wait_for_stop(self, timeout_s: float | None = None) -> bool:
        """Listen for SIGTERM; False when none has come in time."""
        told = self._told.wait(timeout_s)
        self._live()
        return told

    def wait_for_kill(self) -> None:
        """Be deaf: nothing but a kill or a removal ends this."""
        self.ended.wait()
        self._live()

    def disconnect(self) -> None:
        """The connection that follows this container breaks; the container goes on."""
        if self._run is not None:
            self._run.lose()

    def _live(self) -> None:
        """A function cannot be killed from outside, so it is when it asks for something."""
        if self._dead:
            raise Killed

    def begin(self, stdin: bytes, run: FakeRun, program: Program) -> None:
        """What the engine does at start."""
        self.stdin, self._run, self.started = stdin, run, True
        name = f"fake-{self.spec.name}"
        threading.Thread(target=self._work, args=(program,), daemon=True, name=name).start()

    def _work(self, program: Program) -> None:
        try:
            code = program(self)
        except Killed:
            code = KILLED
        except Exception:
            with contextlib.suppress(Killed):
                self.write(traceback.format_exc().encode())
            code = 1
        self._end(code)

    def terminate(self) -> None:
        """SIGTERM."""
        self._told.set()

    def kill(self) -> None:
        """SIGKILL; nothing happens when it does not run."""
        if self.running:
            self._end(KILLED, dead=True)

    def _end(self, code: int, *, dead: bool = False) -> None:
        """The first end counts: what a killed program still says does not."""
        with self._lock:
            if self.ended.is_set():
                return
            self._dead, self.exit_code = dead, code
            self.ended.set()
        self._told.set()
        if self._run is not None:
            self._run.end()

    def state(self) -> ContainerState:
        return ContainerState(
            running=self.running,
            exit_code=self.exit_code,
            oom_killed=self.oom_killed,
            error=self.error,
            started=self.started,
        )


Program = Callable[[FakeContainer], int]
"""Returns the exit code. An exception is exit code 1, with its traceback in the log."""


class FakeRun:
    """Follows one container. Its log is handed over as it is written, by the program's thread."""

    def __init__(self, on_log: OnLog) -> None:
        self._on_log = on_log
        self._over = threading.Event()
        self._lost = False

    @property
    def lost(self) -> bool:
        return self._lost

    @property
    def silent(self) -> bool:
        return False

    def wait(self, timeout_s: float) -> bool:
        return self._over.wait(timeout_s)

    def write(self, data: bytes) -> None:
        if self._over.is_set():
            return
        try:
            self._on_log(data)
        except (OSError, ValueError):
            self.lose()

    def lose(self) -> None:
        self._lost = self._lost or not self._over.is_set()
        self._over.set()

    def end(self) -> None:
        self._over.set()
