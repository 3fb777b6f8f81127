"""A process that is being followed: its stdin and its log over pipes, its end with its
supervisor's."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from cvl.engine import supervisor
from cvl.engine.protocol import OnLog
from cvl.errors import EngineError

LOG_S = 5.0


class VenvRun:
    """Follows one process: its log over a pipe, its end with its supervisor's."""

    def __init__(
        self, folder: Path, stdin: bytes, on_log: OnLog, warn: Callable[[str], None]
    ) -> None:
        self._on_log, self._warn, self._name = on_log, warn, folder.name
        self._ended = threading.Event()
        self._lock = threading.Lock()
        reading, self._control = os.pipe()
        command = [sys.executable, "-I", "-S", supervisor.__file__, str(folder), str(reading)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=(reading,), start_new_session=True, cwd="/", env={}, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            os.close(self._control)
            raise EngineError(f"a process cannot be started: {error.strerror}") from error
        finally:
            os.close(reading)
        self._reader = _thread(self._read, "log")
        _thread(lambda: self._send(stdin), "stdin")
        _thread(self._follow, "follow")

    @property
    def lost(self) -> bool:
        return False

    @property
    def silent(self) -> bool:
        return False

    def wait(self, timeout_s: float) -> bool:
        return self._ended.wait(timeout_s)

    def say(self, word: str) -> None:
        """Ask the supervisor; one that is gone has nothing left to do."""
        with self._lock, contextlib.suppress(OSError):
            if self._control >= 0:
                os.write(self._control, word.encode())

    def close(self) -> None:
        with self._lock:
            if self._control >= 0:
                os.close(self._control)
                self._control = -1

    def _send(self, stdin: bytes) -> None:
        """In a thread: a program that does not read its request holds this up."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError), self._process.stdin as pipe:
            left = memoryview(stdin)
            while left:
                left = left[pipe.write(left) :]

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdout as pipe:
            while chunk := pipe.read(1 << 16):
                self._on_log(chunk)

    def _follow(self) -> None:
        """The log of what a step left running has no end where nothing can be adopted: then it is
        not waited for any longer."""
        self._process.wait()
        self._reader.join(LOG_S)
        if self._reader.is_alive():
            self._warn(f"a process that {self._name} started still runs")
        self._ended.set()


def _thread(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True, name=f"cvl-{name}")
    thread.start()
    return thread
