"""A started container: its stdin and its log over one connection, its end over another."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cvl.engine.api import Api, ApiError, Hijacked
from cvl.engine.documents import NO_LOG
from cvl.engine.protocol import OnLog
from cvl.engine.pulse import Heartbeat
from cvl.errors import CvlError

GONE = 404
STOPPED = (137, 143)
"""Exit codes of a program that SIGKILL or SIGTERM ended."""
CHUNK = 1 << 16
STDERR = 2
HEADER = struct.Struct(">BxxxL")
"""Before each piece of output: which stream it is of, and its length in bytes."""


class DockerRun:
    """Follows one container: its log over the attach stream, its end over the wait call. An engine
    that goes away is waited for: a container that goes on under it is followed again."""

    def __init__(
        self, api: Api, container: str, attached: Hijacked, on_log: OnLog, on_errors: OnLog
    ) -> None:
        self._api = api
        self._path = f"/containers/{container}"
        self._socket = attached.socket
        self._on_log, self._on_errors = on_log, on_errors
        self._ended = threading.Event()
        self._lost = False
        self._handed_over = False
        self._breaks = api.pulse.breaks
        self._beat = Heartbeat(api, self._give_up)
        pieces = _pieces(attached)
        follow = threading.Thread(
            target=self._follow, args=(pieces,), daemon=True, name="cvl-follow"
        )
        follow.start()

    @property
    def lost(self) -> bool:
        return self._lost

    @property
    def silent(self) -> bool:
        return self._api.pulse.silent

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

    def _follow(self, pieces: Iterator[bytes]) -> None:
        try:
            while not self._seen_to_end(pieces):
                again = self._found_again()
                if again is None:
                    break
                pieces = again
        except ApiError as error:
            # Removed by somebody else: the state call will say so.
            self._lost = self._lost or error.status != GONE
        except (OSError, ValueError, CvlError):
            self._lost = True
        finally:
            self._beat.end()
            self._ended.set()
            self._hang_up()
            self._socket.close()

    def _seen_to_end(self, pieces: Iterator[bytes]) -> bool:
        """Read the log and wait for the end; False when the engine went away meanwhile: the end may
        then have been its own."""
        try:
            for kind, chunk in _output(pieces):
                (self._on_errors if kind == STDERR else self._on_log)(chunk)
            if self._api.went_away(self._breaks):
                return False
            ended = self._api.call("POST", f"{self._path}/wait", timeout_s=None)
        except OSError:
            return False
        if ended["StatusCode"] in STOPPED and not self._api.answers_now():
            raise ConnectionError("the engine goes down, and its containers first")
        return not self._api.went_away(self._breaks)

    def _found_again(self) -> Iterator[bytes] | None:
        """The rest of its log once the engine is back, or None when it has ended by itself. Raises
        when it ended with the engine, or cannot have got its request for sure."""
        broke, before = time.time(), self._breaks
        found = self._api.call("GET", f"{self._path}/json")
        state = found["State"]
        self._breaks = self._api.pulse.breaks
        if not state["Running"]:
            if self._ended_with_engine(state):
                raise ConnectionError("the container ended with the engine")
            return None
        self._handed_over = self._handed_over or before in self._beat.heard
        if not self._handed_over:
            raise ConnectionError("the engine went away as soon as the container was started")
        self._api.pulse.caller.tell("the Docker engine is back, and the container still runs")
        if found["HostConfig"]["LogConfig"]["Type"] == NO_LOG["Type"]:
            return self._attached_again()
        query = {"stdout": True, "stderr": True, "follow": True, "since": f"{broke:.9f}"}
        return self._api.stream(f"{self._path}/logs", query)

    def _attached_again(self) -> Iterator[bytes]:
        """Without what it printed while nobody was there to read it: no copy of it is kept."""
        query = {"stdout": True, "stderr": True, "stream": True}
        attached = self._api.hijack(f"{self._path}/attach", query)
        self._socket.close()
        self._socket = attached.socket
        return _pieces(attached)

    def _ended_with_engine(self, state: Mapping[str, Any]) -> bool:
        """An engine that goes down, or comes back without live-restore, stops what runs in it."""
        code = int(state["ExitCode"])
        if code == 0 or state["OOMKilled"]:
            return False
        return code in STOPPED or not self._api.call("GET", "/info").get("LiveRestoreEnabled")

    def _give_up(self) -> None:
        """The heartbeat found nobody for too long; the connection may look well for ever."""
        self._lost = True
        self._ended.set()
        self._hang_up()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes who reads, and a sender without readers


def _pieces(attached: Hijacked) -> Iterator[bytes]:
    """What comes over a hijacked connection, until its end."""
    yield attached.early
    while received := attached.socket.recv(CHUNK):
        yield received


def _output(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(stream, bytes) of stdout and stderr as they come. A piece may be large: it is handed on in
    parts."""
    waiting, kind, left = b"", 0, 0
    for piece in pieces:
        waiting += piece
        while left or len(waiting) >= HEADER.size:
            if not left:
                kind, left = HEADER.unpack_from(waiting)
                waiting = waiting[HEADER.size :]
            if not waiting:
                break
            part, waiting = waiting[:left], waiting[left:]
            left -= len(part)
            yield kind, part
