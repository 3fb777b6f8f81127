"""A started container: its stdin and its log over one connection, its end over another."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from cvl.engine.api import Api, ApiError, Hijacked
from cvl.engine.protocol import OnLog

GONE = 404
CHUNK = 1 << 16
STDERR = 2
HEADER = struct.Struct(">BxxxL")
"""Before each piece of output: which stream it is of, and its length in bytes."""


class DockerRun:
    """Follows one container: its log over the attach stream, its end over the wait call."""

    def __init__(
        self, api: Api, container: str, attached: Hijacked, on_log: OnLog, on_errors: OnLog
    ) -> None:
        self._api = api
        self._container = container
        self._attached = attached
        self._socket = attached.socket
        self._on_log, self._on_errors = on_log, on_errors
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._follow, daemon=True, name="cvl-follow")
        self._thread.start()

    @property
    def lost(self) -> bool:
        return self._lost

    def send(self, stdin: bytes) -> None:
        """Write the request and close stdin, in a thread: a program that does not read it holds
        this up for as long as it runs, and the caller must be able to end that."""
        hand_over = threading.Thread(
            target=self._send, args=(stdin,), daemon=True, name="cvl-stdin"
        )
        hand_over.start()

    def _send(self, stdin: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(stdin)
            self._socket.shutdown(socket.SHUT_WR)

    def wait(self, timeout_s: float) -> bool:
        return self._ended.wait(timeout_s)

    def _follow(self) -> None:
        try:
            for kind, chunk in _output(self._attached):
                (self._on_errors if kind == STDERR else self._on_log)(chunk)
            self._api.call("POST", f"/containers/{self._container}/wait", timeout_s=None)
        except ApiError as error:
            # Removed by somebody else: the state call will say so.
            self._lost = error.status != GONE
        except (OSError, ValueError):
            self._lost = True
        finally:
            self._ended.set()
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes a sender that nobody reads from
            self._socket.close()


def _output(attached: Hijacked) -> Iterator[tuple[int, bytes]]:
    """(stream, bytes) of stdout and stderr as they come. A piece may be large: it is handed on in
    parts."""
    waiting, kind, left = attached.early, 0, 0
    while True:
        while left or len(waiting) >= HEADER.size:
            if not left:
                kind, left = HEADER.unpack_from(waiting)
                waiting = waiting[HEADER.size :]
            if not waiting:
                break
            part, waiting = waiting[:left], waiting[left:]
            left -= len(part)
            yield kind, part
        received = attached.socket.recv(CHUNK)
        if not received:
            return
        waiting += received
