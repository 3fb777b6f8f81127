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
from cvl.errors import DiskFullError, StateError, WeightsError
from cvl.hub.messages import (
    REPLIES,
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
)

POLL_S = 0.1
QUIET_S = 20.0
"""Nothing has arrived for so long: worth a word."""
STALLED_S = 120.0
"""Nothing has arrived for so long: another way is tried, then it is given up."""
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


@dataclass(frozen=True)
class Listener:
    """Who is told on the way. pause(seconds) may raise to give up."""

    pause: Callable[[float], None]
    on_bytes: Callable[[int], None] = lambda count: None
    on_fetched: Callable[[Fetched], None] = lambda fetched: None
    on_trouble: Callable[[str], None] = lambda text: None


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
    try:
        for reply in _ask(request, listener, LOOPBACK if isinstance(request, Unpack) else {}):
            seen.append(reply)
            yield reply
    except _Stalled:
        listener.on_trouble(f"nothing has arrived for {STALLED_S:.0f} s; trying without Xet")
        try:
            yield from (reply for reply in _ask(request, listener, NO_XET) if reply not in seen)
        except _Stalled:
            raise WeightsError(
                f"nothing has arrived for {STALLED_S:.0f} s, twice",
                hint="check the network; HF_ENDPOINT chooses a mirror; what is complete is kept",
                code="stalled",
            ) from None


class _Stalled(Exception):
    """Nothing arrives any more."""


def _ask(request: Request, listener: Listener, more: dict[str, str]) -> Iterator[Reply]:
    with _worker(request, more) as lines:
        heard, told = time.monotonic(), False
        while (line := _next(lines)) is not None:
            listener.pause(0)
            quiet = time.monotonic() - heard
            if not line:
                if quiet > STALLED_S:
                    raise _Stalled
                if quiet > QUIET_S and not told:
                    told = True
                    listener.on_trouble(f"nothing has arrived for {QUIET_S:.0f} s; still waiting")
                continue
            heard, told = time.monotonic(), False
            reply = _reply(line)
            if isinstance(reply, Failed):
                raise _error(reply)
            if not _heard(reply, listener):
                yield reply


def _heard(reply: Reply, listener: Listener) -> bool:
    """Was it something said on the way?"""
    if isinstance(reply, Bytes):
        listener.on_bytes(reply.count)
    elif isinstance(reply, Trouble):
        listener.on_trouble(reply.text)
    elif isinstance(reply, Fetched):
        listener.on_fetched(reply)
    return isinstance(reply, Bytes | Trouble)


@contextlib.contextmanager
def _worker(request: Request, more: dict[str, str]) -> Iterator[queue.Queue[str | None]]:
    """The lines of a worker that is ended when the block is left; None after the last."""
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
        yield lines
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


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
