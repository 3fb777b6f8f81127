"""Asking the hub: a worker process per request, followed to its end."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cvl.core.plain import from_plain, to_plain
from cvl.errors import DiskFullError, StateError, UserError, WeightsError
from cvl.hub.messages import (
    REPLIES,
    Busy,
    Bytes,
    Failed,
    Fetched,
    Known,
    Reply,
    Request,
    Resolve,
    Resolved,
    Trouble,
    Unpack,
    Waiting,
)
from cvl.hub.pace import FIRST_WORD, Pace

POLL_S = 0.1
START_S = 30.0
"""What a worker gets to load its libraries."""
END_S = 1.0
"""What a worker gets to remove its incomplete files."""
VARIABLE = "CVL_STALLED_S"
REMEDY = (
    "still waiting (Ctrl-C and running it again keeps what is complete; HF_HUB_DISABLE_XET=1 takes "
    "another way, HF_ENDPOINT another server)"
)
ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "PYTHONUNBUFFERED": "1",
}
LOOPBACK = {
    "HF_HUB_OFFLINE": "0",
    "HF_HUB_DISABLE_XET": "1",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
"""For a worker that speaks to itself alone."""
NO_XET = {"HF_HUB_DISABLE_XET": "1"}
Worker = tuple[subprocess.Popen[bytes], queue.Queue[str | None]]


@dataclass(frozen=True)
class Listener:
    """Who is told on the way. pause(seconds) may raise to give up."""

    pause: Callable[[float], None]
    on_bytes: Callable[[int], None] = lambda count: None
    on_fetched: Callable[[Fetched], None] = lambda fetched: None
    on_trouble: Callable[[str], None] = lambda text: None
    on_waiting: Callable[[Waiting], None] = lambda waiting: None


def resolve(repo: str, revision: str, listener: Listener) -> Resolved:
    """What a repo has at a revision. Raises WeightsError."""
    for reply in ask(Resolve(repo, revision), listener):
        if isinstance(reply, Resolved):
            return reply
    raise _ended()


def ask(request: Request, listener: Listener) -> Iterator[Reply]:
    """The replies that are results, as they come; what is said on the way goes to the listener.

    A download that stalls is tried once more without Xet: that is what mends most of them. Raises
    WeightsError, DiskFullError (whose message is the folder), StateError.
    """
    seen: list[Reply] = []
    after = stalled_after()
    try:
        for reply in _ask(request, listener, LOOPBACK if isinstance(request, Unpack) else {}):
            seen.append(reply)
            yield reply
    except _Stalled as stalled:
        listener.on_trouble(f"{stalled}; trying without Xet")
        try:
            yield from (reply for reply in _ask(request, listener, NO_XET) if reply not in seen)
        except _Stalled as again:
            raise WeightsError(
                f"{again}, twice in a row",
                hint="check the network; HF_ENDPOINT chooses a mirror; what is complete is kept; "
                f"{VARIABLE} (now {after:g}) gives it more time",
                code="stalled",
            ) from None


def stalled_after() -> float:
    """Seconds without a byte to speak of after which another way is tried, then given up. UserError
    for what is no such number."""
    text = os.environ.get(VARIABLE) or "120"
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) > 0:
            return seconds
    raise UserError(f"{VARIABLE} is {text!r}, not a number of seconds", code="bad_config")


class _Stalled(Exception):
    """Nothing to speak of arrives any more."""


def _ask(request: Request, listener: Listener, more: dict[str, str]) -> Iterator[Reply]:
    after = stalled_after()
    with _worker(request, {**_patience(after), **more}) as (process, lines):
        pace = Pace(after, time.monotonic() + START_S)
        while (line := _next(lines)) is not None:
            listener.pause(0)
            if line:
                reply = _reply(line)
                pace.heard(reply, time.monotonic())
                if isinstance(reply, Failed):
                    raise _error(reply)
                if not _heard(reply, listener):
                    yield reply
            _look(pace, time.monotonic(), listener)
        if process.wait() < 0:
            raise WeightsError(
                f"the process that asks the hub was killed by signal {-process.returncode}",
                hint="run it again: what is complete is kept",
                code="worker_killed",
            )


def _look(pace: Pace, now: float, listener: Listener) -> None:
    """Does it still come along?"""
    if pace.is_stalled(now):
        raise _Stalled(pace.text(now))
    if notice := pace.notice(now):
        listener.on_trouble(f"{notice}; {REMEDY}")


def _patience(after: float) -> dict[str, str]:
    """What huggingface_hub waits for a byte before it connects anew: ten seconds, as it does by
    itself, or less where less is asked for."""
    if os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT"):
        return {}
    return {"HF_HUB_DOWNLOAD_TIMEOUT": str(max(1, min(10, round(after * FIRST_WORD))))}


def _heard(reply: Reply, listener: Listener) -> bool:
    """Was it something said on the way?"""
    if isinstance(reply, Bytes):
        listener.on_bytes(reply.count)
    elif isinstance(reply, Trouble):
        listener.on_trouble(reply.text)
    elif isinstance(reply, Waiting):
        listener.on_waiting(reply)
    elif isinstance(reply, Fetched):
        listener.on_fetched(reply)
    return isinstance(reply, Bytes | Trouble | Waiting | Busy)


@contextlib.contextmanager
def _worker(request: Request, more: dict[str, str]) -> Iterator[Worker]:
    """A worker that is ended when the block is left, and its lines; None after the last."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cvl.hub.worker"],
        env={**os.environ, **ENVIRONMENT, **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal reaches us alone
    )
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True, name="cvl-hub")
    try:
        assert process.stdin is not None
        document = {"is": type(request).__name__, **to_plain(request)}
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(document).encode() + b"\n")
            process.stdin.flush()
        reader.start()
        yield process, lines
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It ends with its stdin, and leaves nothing incomplete; a process that hangs does not."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.decode())
    lines.put(None)


def _next(lines: queue.Queue[str | None]) -> str | None:
    """The next line; empty when there is none yet."""
    try:
        return lines.get(timeout=POLL_S)
    except queue.Empty:
        return ""


def _reply(line: str) -> Reply:
    document: dict[str, Any] = json.loads(line)
    reply: Reply = from_plain(REPLIES[document.pop("is")], document)
    return reply


def _error(failed: Failed) -> Exception:
    if failed.kind == "disk_full":
        return DiskFullError(failed.message)
    return WeightsError(failed.message, hint=failed.hint, code=failed.code)


def _ended() -> StateError:
    return StateError(
        "the process that asks the hub ended without a word",
        hint="is huggingface_hub installed as cvl needs it? pip install --force-reinstall cvl",
    )


def who_am_i(listener: Listener) -> str:
    """The name that goes with the token; empty without one. Raises WeightsError."""
    from cvl.hub.messages import WhoAmI

    for reply in ask(WhoAmI(), listener):
        if isinstance(reply, Known):
            return reply.name
    raise _ended()
