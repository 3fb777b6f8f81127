"""Listeners that can go away and come back on their port, and how an answer is written."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import io
import json
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from tests.support.hub.faults import Fault, Plan


@dataclass(frozen=True)
class Request:
    """What arrived; `query` has the first value of each name."""

    host: str
    method: str
    target: str
    headers: Message
    body: bytes = b""

    @property
    def segments(self) -> list[str]:
        """Of the path, still quoted."""
        return urlsplit(self.target).path.strip("/").split("/")

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def header(self, name: str) -> str:
        return str(self.headers.get(name, ""))


@dataclass(frozen=True)
class Answer:
    """What is to be said before anything goes wrong.

    `stages`: which faults may meet it. `file` with `content` a path: bytes that can be asked for
    in ranges. `gzip`: may be compressed.
    """

    status: int
    content: bytes | Path = b""
    headers: dict[str, str] = field(default_factory=dict)
    repo: str = ""
    file: str = ""
    stages: frozenset[str] = frozenset()
    gzip: bool = False

    @property
    def size(self) -> int:
        whole = self.content
        return whole.stat().st_size if isinstance(whole, Path) else len(whole)

    def open(self) -> BinaryIO:
        whole = self.content
        return whole.open("rb") if isinstance(whole, Path) else io.BytesIO(whole)


def said(status: int, value: object, **headers: str) -> Answer:
    """An answer in JSON; of header names, `_` is `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    content = json.dumps(value).encode()
    return Answer(status, content, {"Content-Type": "application/json; charset=utf-8", **named})


def led(status: int, location: str, headers: dict[str, str] | None = None) -> Answer:
    """A redirect."""
    text = f"Redirecting to {location}".encode()
    kind = {"Content-Type": "text/plain; charset=utf-8", "Location": location}
    return Answer(status, text, {**(headers or {}), **kind})


@dataclass(frozen=True)
class Body:
    """The part of an answer's content that is sent; `chunked` where its length is not told."""

    answer: Answer
    start: int
    length: int
    chunked: bool = False

    def pieces(self, most: int, until: int) -> Iterator[bytes]:
        """The first `until` bytes, at most so many at once."""
        with self.answer.open() as file:
            file.seek(self.start)
            left = until
            while left and (piece := file.read(min(most, left))):
                left -= len(piece)
                yield piece


def packed(answer: Answer) -> Answer:
    """The same, compressed; its ETag is a weak one then, as on the hub."""
    with answer.open() as file:
        content = gzip.compress(file.read(), mtime=0)
    headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Origin, Accept-Encoding"}
    headers["ETag"] = f"W/{headers['ETag']}"
    return Answer(answer.status, content, headers, gzip=True)


class Broken(Exception):
    """The connection is to end here; `reset` says how."""

    def __init__(self, reset: bool = False) -> None:
        super().__init__(reset)
        self.reset = reset


def write_body(
    connection: socket.socket, body: Body, plan: Plan, sent: Callable[[int], None]
) -> None:
    """Write it as the faults let it; `sent` is told of each piece. Broken: it ended early."""
    end = plan.first("cut", "reset")
    stall = plan.first("stall")
    until = end.offset(body.length) if end else body.length
    stop = min(until, stall.offset(body.length)) if stall else until
    written = 0
    if stall is not None and stop == 0:
        stall.released.wait()
    for piece in _split(body.pieces(plan.piece(), until), stop):
        frame = b"%x\r\n%b\r\n" % (len(piece), piece) if body.chunked else piece
        sent(len(piece))  # first, so that who has read it finds it counted
        connection.sendall(frame)
        written += len(piece)
        plan.pause(len(piece))
        if stall is not None and written == stop:
            stall.released.wait()
    _finish(connection, end, body.chunked)


def _split(pieces: Iterator[bytes], at: int) -> Iterator[bytes]:
    """The same bytes, with a border at byte `at`."""
    passed = 0
    for piece in pieces:
        inside = at - passed
        passed += len(piece)
        yield from filter(None, (piece[:inside], piece[inside:]) if inside > 0 else (piece,))


def _finish(connection: socket.socket, end: Fault | None, chunked: bool) -> None:
    if end is not None:
        raise Broken(reset=end.kind == "reset")
    if chunked:
        connection.sendall(b"0\r\n\r\n")


def arm_reset(connection: socket.socket) -> None:
    """Closing sends RST, once what was written has arrived."""
    deadline = time.monotonic() + 5
    while _unsent(connection) and time.monotonic() < deadline:
        time.sleep(0.005)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _unsent(connection: socket.socket) -> int:
    """Bytes in the socket's send buffer that the other side has not taken."""
    left = fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0")
    return int(struct.unpack("i", left)[0])


class Listener:
    """A port of a loopback address, served by a thread per connection.

    The port stays taken by a socket that does not listen, so that nobody else has it while the
    listener is stopped, and connections are refused then.
    """

    def __init__(self, name: str, address: str, serve: Callable[[socket.socket], None]) -> None:
        self.name = name
        self._serve = serve
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((address, 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        address, port = self._place.getsockname()
        return f"http://{address}:{port}"

    def start(self) -> None:
        if self._socket is None:
            self._socket = socket.create_server(self._place.getsockname(), backlog=256)
            threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end those that there are."""
        listening, self._socket = self._socket, None
        if listening is not None:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            if self._socket is not listening:
                _shut(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            self._serve(connection)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was over already
        connection.shutdown(socket.SHUT_RDWR)
