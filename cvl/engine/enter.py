"""A command where a step ran. Inside a container, through the docker client: it knows all there is
to know about terminals, and any client will do. On the host, a process like any other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator

from cvl.core.redaction import without_secrets
from cvl.engine.build import candidates
from cvl.engine.endpoint import Endpoint
from cvl.engine.protocol import Cancelled
from cvl.errors import EngineError

POLL_S = 0.2
MOST_BYTES = 1 << 20


def enter_container(
    endpoint: Endpoint,
    container: str,
    command: tuple[str, ...],
    *,
    terminal: bool,
    cancelled: Cancelled,
    output: Callable[[bytes], None] | None,
) -> int:
    """Run `command` to its end, or until `cancelled`; its exit code. See Enterable."""
    environment = {**without_secrets(os.environ), "DOCKER_HOST": endpoint.url}
    environment.pop("DOCKER_CONTEXT", None)
    command = (_client(), "exec", *_options(terminal), container, *command)
    return _run(command, environment, None, terminal, cancelled, output)


def enter_process(
    environment: dict[str, str],
    folder: str,
    command: tuple[str, ...],
    *,
    terminal: bool,
    cancelled: Cancelled,
    output: Callable[[bytes], None] | None,
) -> int:
    """The same for a step of this machine. On a terminal, Ctrl-C is for what runs there alone."""
    if not terminal:
        return _run(command, environment, folder, terminal, cancelled, output)
    kept = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        shown = {**environment, "TERM": os.environ.get("TERM", "")}
        return _run(command, shown, folder, terminal, cancelled, output)
    finally:
        signal.signal(signal.SIGINT, kept)


def _run(
    command: tuple[str, ...],
    environment: dict[str, str],
    folder: str | None,
    terminal: bool,
    cancelled: Cancelled,
    output: Callable[[bytes], None] | None,
) -> int:
    with _as_it_was(terminal):
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=None if output is None else subprocess.PIPE,
            stderr=None if output is None else subprocess.STDOUT,
        )
        printed = _until_end(process, cancelled)
    if output is not None:
        output(printed[-MOST_BYTES:])
    return process.returncode


def _until_end(process: subprocess.Popen[bytes], cancelled: Cancelled) -> bytes:
    """What it printed, where that was asked for. The container is about to be removed, so ending
    the client is enough to end it all."""
    while True:
        try:
            return process.communicate(timeout=POLL_S)[0] or b""
        except subprocess.TimeoutExpired:
            if cancelled():
                process.kill()


@contextlib.contextmanager
def _as_it_was(terminal: bool) -> Iterator[None]:
    """A client that is killed leaves the terminal as raw as it needed it."""
    before = termios.tcgetattr(sys.stdin) if terminal else None
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _client() -> str:
    found = candidates()
    if not found:
        raise EngineError(
            "there is no docker client here", hint="install it: docker-cli", code="no_client"
        )
    return found[0]


def _options(terminal: bool) -> list[str]:
    if not terminal:
        return []
    kind = os.environ.get("TERM", "")
    return ["--interactive", "--tty", *(["--env", f"TERM={kind}"] if kind else [])]
