"""HTTP to the engine's socket, as little of it as the API needs: h11 knows the protocol.

The docker package does the same through requests and urllib3; loading these takes a third of all
the CPU time of a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import h11

from cvl.engine.endpoint import Endpoint
from cvl.engine.pulse import TURN_S, Caller, Pulse, Wait

NEWEST = (1, 47)
"""The newest API version whose documents this was written by; engines keep serving older ones."""
CHUNK = 1 << 16
TCP_PORT = 2375
MAX_REPLY = 256 << 20
CONTACT_S = 5.0
"""For the first answer, which costs an engine nothing: one that takes longer does not answer."""
REPEATABLE = ("GET", "HEAD", "DELETE")
"""Asking twice does no more than asking once."""


class ApiError(Exception):
    """The engine answered that it will not: HTTP status and its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Hijacked:
    """A connection that carries a container's stdin and output from here on; `early` is what came
    with the answer."""

    socket: socket.socket
    early: bytes


class Api:
    """Calls to one engine. Connections are kept and used again, one call at a time each, so that
    threads can call at once. What was not sent, or may be sent twice, is sent again as long as the
    caller is patient.

    Raises ApiError for an answer of 400 and more, TimeoutError, OSError when nobody answers, and
    what the caller raises who does not want to wait for a silent engine any longer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        newest: tuple[int, ...] = NEWEST,
        caller: Caller | None = None,
    ) -> None:
        self._endpoint, self._timeout_s = endpoint, timeout_s
        self.pulse = Pulse(caller or Caller())
        self._idle: list[_Connection] = []
        self._prefix = ""
        told = self.call("GET", "/version", timeout_s=CONTACT_S)
        self.parts = tuple(str(part.get("Name")) for part in told.get("Components") or ())
        """Names of what the engine is made of."""
        self._prefix = f"/v{_text(min(_numbers(told['ApiVersion']), newest))}"

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout_s: float | None = -1,
        *,
        fresh: bool = False,
    ) -> Any:
        """The JSON of the answer, or None for an empty one. timeout_s: for an engine that is well;
        -1 for that of this object, None for a call whose answer may take for ever. fresh: over a
        new connection, which an engine that goes down does not take."""
        wait = self.pulse.begin(self._timeout_s if timeout_s in (-1, None) else timeout_s or 0)
        while True:
            connection = self._new_connection(wait) if fresh else self._connection(wait)
            try:
                status, data = connection.exchange(
                    method, self._target(path, query), _encoded(body), wait, timeout_s is None
                )
            except TimeoutError:
                raise
            except OSError:
                if method not in REPEATABLE or not wait.again():
                    raise
            else:
                break
        self.pulse.heard()
        if fresh:
            connection.close()
        elif connection.reusable():
            self._idle.append(connection)
        if status >= 400:
            raise ApiError(status, _message(data, status))
        return json.loads(data) if data.strip() else None

    def ping(self) -> int:
        """How often the engine has gone away so far. Raises when it does not answer, whatever."""
        with contextlib.suppress(ApiError):
            self.call("HEAD", "/_ping", fresh=True)
        return self.pulse.breaks

    def went_away(self, breaks: int) -> bool:
        """Has it, since it had done so this often? A connection that is kept tells of a restart
        that nobody waited for."""
        for kept in list(self._idle):
            if not kept.alive():
                self.pulse.broke()
                break
        return self.pulse.breaks != breaks

    def answers_now(self) -> bool:
        """Is it there at this moment? Nothing is waited for if not."""
        wait = self.pulse.begin(self._timeout_s)
        try:
            connection = _Connection(self._endpoint, wait.left)
            connection.exchange("HEAD", self._target("/_ping", None), b"", wait, False)
            connection.close()
        except OSError:
            return False
        return True

    def stream(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """The body of an answer that has no end of its own, as it comes."""
        wait = self.pulse.begin(self._timeout_s)
        connection = self._connection(wait)
        try:
            connection.send("GET", self._target(path, query), b"")
            status = connection.status(wait)
            if status >= 400:
                raise ApiError(status, _message(b"".join(connection.body(wait)), status))
            connection.socket.settimeout(None)
            yield from connection.body(wait)
        finally:
            connection.close()

    def hijack(self, path: str, query: Mapping[str, Any]) -> Hijacked:
        """Turn a new connection into a stream to a container."""
        wait = self.pulse.begin(self._timeout_s)
        connection = self._new_connection(wait)
        try:
            upgrade = [("Connection", "Upgrade"), ("Upgrade", "tcp")]
            connection.send("POST", self._target(path, query), b"", upgrade)
            status = connection.status(wait)
            if status >= 400:
                raise ApiError(status, _message(b"".join(connection.body(wait)), status))
            return connection.give_away()
        except BaseException:
            connection.close()
            raise

    def _connection(self, wait: Wait) -> _Connection:
        """One that is kept, unless the engine has closed it in the meantime, or a new one."""
        with contextlib.suppress(IndexError):  # another thread may take the last one
            while True:
                kept = self._idle.pop()
                if kept.alive():
                    kept.socket.settimeout(wait.left)
                    return kept
                kept.close()
                self.pulse.broke()
        return self._new_connection(wait)

    def _new_connection(self, wait: Wait) -> _Connection:
        while True:
            try:
                return _Connection(self._endpoint, wait.left)
            except TimeoutError:
                raise
            except OSError:
                if not wait.again():
                    raise

    def _target(self, path: str, query: Mapping[str, Any] | None) -> str:
        plain = {name: _plain(value) for name, value in (query or {}).items()}
        text = f"?{urlencode(plain)}" if plain else ""
        return f"{self._prefix}{quote(path, safe='/:@')}{text}"


class _Connection:
    """One HTTP/1.1 connection."""

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self.socket = _connect(endpoint, timeout_s)
        self._http = h11.Connection(h11.CLIENT)

    def exchange(
        self, method: str, target: str, body: bytes, wait: Wait, endless: bool
    ) -> tuple[int, bytes]:
        """(status, body) of the answer. endless: it may take for ever."""
        try:
            self.send(method, target, body)
            if endless:
                self.socket.settimeout(None)
            return self.status(wait), b"".join(_bounded(self.body(wait)))
        except BaseException:
            self.close()
            raise

    def send(
        self, method: str, target: str, body: bytes, headers: list[tuple[str, str]] | None = None
    ) -> None:
        fields = [("Host", "docker"), ("Content-Length", str(len(body))), *(headers or [])]
        if body:
            fields.append(("Content-Type", "application/json"))
        data = self._http.send(h11.Request(method=method, target=target, headers=fields)) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self.socket.sendall(data)
        self.socket.settimeout(TURN_S)

    def status(self, wait: Wait) -> int:
        """Read up to the end of the headers."""
        while True:
            event = self._next(wait)
            if isinstance(event, h11.Response | h11.InformationalResponse):
                if event.status_code in (100, 102, 103):
                    continue
                return event.status_code
            raise ConnectionError("the engine hung up without an answer")

    def body(self, wait: Wait) -> Iterator[bytes]:
        while isinstance(event := self._next(wait), h11.Data):
            yield bytes(event.data)

    def _next(self, wait: Wait) -> Any:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise ConnectionError(f"the engine's answer is not HTTP: {error}") from error
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(self._received(wait))

    def _received(self, wait: Wait) -> bytes:
        while True:
            try:
                return self.socket.recv(CHUNK)
            except TimeoutError:
                wait.turn()

    def reusable(self) -> bool:
        """Is the exchange over, with both sides willing to go on?"""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self.close()
            return False
        self._http.start_next_cycle()
        return True

    def alive(self) -> bool:
        """An idle connection has nothing to read; if it has, that is its end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def give_away(self) -> Hijacked:
        self.socket.settimeout(None)
        return Hijacked(self.socket, bytes(self._http.trailing_data[0]))

    def close(self) -> None:
        self.socket.close()


def _connect(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    parts = urlsplit(endpoint.url)
    if parts.scheme in ("unix", "http+unix"):
        path = unquote(parts.netloc) + parts.path if parts.netloc else parts.path
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection
    if parts.scheme not in ("tcp", "http", "https"):
        raise ConnectionError(f"no way to speak {parts.scheme}")
    address = (parts.hostname or "localhost", parts.port or TCP_PORT)
    plain = socket.create_connection(address, timeout_s)
    folder = _certificates(endpoint, parts.scheme)
    return _over_tls(plain, address[0], folder) if folder else plain


def _certificates(endpoint: Endpoint, scheme: str) -> Path | None:
    """Where the docker client would take its certificates from; None when it would not use TLS."""
    asked = endpoint.source == "DOCKER_HOST" and bool(os.environ.get("DOCKER_TLS_VERIFY"))
    given = os.environ.get("DOCKER_CERT_PATH") if endpoint.source == "DOCKER_HOST" else None
    if not (asked or given or scheme == "https"):
        return None
    return Path(given) if given else Path(os.path.expanduser("~")) / ".docker"


def _over_tls(plain: socket.socket, host: str, folder: Path) -> socket.socket:
    import ssl

    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_REPLY:
            raise ConnectionError("the engine's answer has no end")
        yield chunk


def _encoded(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _message(data: bytes, status: int) -> str:
    try:
        return str(json.loads(data)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip() or f"status {status}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
