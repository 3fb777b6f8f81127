"""A request from its arrival to the end of its answer: routed, recorded, spoiled, sent."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.support.hub.faults import Book, Plan
from tests.support.hub.journal import Journal, Record
from tests.support.hub.routes import Router
from tests.support.hub.wire import (
    Answer,
    Body,
    Broken,
    Listener,
    Request,
    arm_reset,
    led,
    packed,
    said,
    write_body,
)

HOSTS = {"hub": "127.0.0.1", "cdn": "127.0.0.2", "elsewhere": "127.0.0.3"}
PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Log in first.</body></html>\n"
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class World:
    """What the listeners share."""

    router: Router
    journal: Journal
    book: Book
    listeners: dict[str, Listener] = field(default_factory=dict)

    def serve(self, host: str, connection: socket.socket) -> None:
        """Answer what comes over a connection until it ends."""
        with contextlib.suppress(OSError):  # the other side went away
            _Handler(connection, host, self)

    def plan(self, answer: Answer) -> Plan:
        plan = self.book.take(answer.repo, answer.file, answer.stages)
        if plan.faults:
            self.journal.nudge()
        return plan

    def where(self, place: str, target: str) -> str:
        """The URL that `redirect` leads to: the same path at a listener, or what is given."""
        listener = self.listeners.get(place)
        return place if listener is None else listener.url + target


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, host: str, world: World) -> None:
        self.host = host
        self.world = world
        super().__init__(connection, connection.getpeername(), None)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request(self.host, self.command, self.path, self.headers, body)
        answer = self.world.router.answer(request)
        record = self._recorded(request, answer)
        plan = self.world.plan(answer)
        if plan.before():
            answer = self.world.router.answer(request)
        try:
            self._send(request, spoiled(self.world, request, answer, plan), plan, record)
        except Broken as broken:
            self.close_connection = True
            if broken.reset:
                arm_reset(self.connection)
        except OSError:
            self.close_connection = True
        finally:
            self.world.journal.update(record, done=True)

    do_HEAD = do_GET
    do_POST = do_GET

    def _recorded(self, request: Request, answer: Answer) -> Record:
        return self.world.journal.arrived(
            host=request.host,
            method=request.method,
            path=request.target,
            repo=answer.repo,
            file=answer.file,
            range=request.header("Range"),
            authorization="Authorization" in request.headers,
            token=self.world.router.caller(request).kind,
            headers={name.lower(): value for name, value in request.headers.items()},
        )

    def _send(self, request: Request, answer: Answer, plan: Plan, record: Record) -> None:
        status, headers, body = framed(request, answer, plan)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.world.journal.update(record, status=status)
        self.end_headers()
        if request.method != "HEAD":

            def more(count: int) -> None:
                self.world.journal.update(record, sent=record.sent + count)

            write_body(self.connection, body, plan, more)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: there is a journal."""


def spoiled(world: World, request: Request, answer: Answer, plan: Plan) -> Answer:
    """The answer with other content, or another one, as the faults say."""
    fault = plan.first("status", "html", "redirect", "loop")
    if fault is not None and fault.kind == "status":
        after = {} if fault.retry_after is None else {"Retry_After": f"{fault.retry_after:g}"}
        return said(fault.code, {"error": f"the stand-in answers {fault.code}"}, **after)
    if fault is not None and fault.kind == "html":
        return Answer(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if fault is not None and fault.kind == "redirect":
        return led(302, world.where(fault.to, request.target))
    if fault is not None:
        return led(302, f"{urlsplit(request.target).path}?again={fault.count}")
    return _altered(answer, plan)


def _altered(answer: Answer, plan: Plan) -> Answer:
    """Another ETag, other bytes of the same size, or fewer bytes."""
    if fault := plan.first("etag"):
        text = fault.text or hashlib.sha256(f"changed {fault.number}".encode()).hexdigest()
        named: dict[str, str] = {
            n: f'"{text}"' for n in ("ETag", "X-Linked-Etag") if n in answer.headers
        }
        answer = replace(answer, headers={**answer.headers, **named})
    wrong, short = plan.first("wrong"), plan.first("short")
    if wrong or short:
        with answer.open() as file:
            content = bytearray(file.read())
        if wrong and content:
            content[min(wrong.offset(len(content)), len(content) - 1)] ^= 0xFF
        if short:
            del content[short.offset(len(content)) :]
        answer = replace(answer, content=bytes(content))
    return answer


def framed(request: Request, answer: Answer, plan: Plan) -> tuple[int, dict[str, str], Body]:
    """Status, headers and the part of the content: all, a range, none of it, or compressed."""
    asked = request.header("Range")
    if answer.gzip and not asked and "gzip" in request.header("Accept-Encoding"):
        small = packed(answer)
        return 200, {**small.headers, "Transfer-Encoding": "chunked"}, Body(
            small, 0, small.size, chunked=True
        )  # fmt: skip
    size = answer.size
    part = None if plan.has("ignore_range") else _part(request, answer, asked)
    if part is None:
        return answer.status, {**answer.headers, "Content-Length": str(size)}, Body(answer, 0, size)
    start, length = part
    headers = {**answer.headers, "Content-Length": str(length)}
    if not length:
        return 416, {**headers, "Content-Range": f"bytes */{size}"}, Body(answer, 0, 0)
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return 206, headers, Body(answer, start, length)


def _part(request: Request, answer: Answer, asked: str) -> tuple[int, int] | None:
    """(start, length) of the range asked for; length 0: outside. None: all of it is sent."""
    match = RANGE.fullmatch(asked)
    first, last = match.groups() if match else ("", "")
    if answer.status != 200 or "Accept-Ranges" not in answer.headers or not first + last:
        return None
    condition = request.header("If-Range")
    if condition and condition != answer.headers.get("ETag"):
        return None
    size = answer.size
    if not first:
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return start, max(0, end - start)
