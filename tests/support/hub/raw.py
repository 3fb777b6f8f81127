"""HTTP without a client's opinions: one request, nothing followed, undone or tried again."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPMessage
from urllib.parse import urlsplit

Got = tuple[int, HTTPMessage, bytes]


def get(url: str, method: str = "GET", **headers: str) -> Got:
    """One request; of header names, `_` is `-`. Status, headers and body as sent."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), headers=named)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def opened(url: str) -> socket.socket:
    """A connection over which a GET was sent, with the head of the answer read."""
    parts = urlsplit(url)
    connection = socket.create_connection((str(parts.hostname), parts.port), timeout=20)
    path = url.removeprefix(f"http://{parts.netloc}")
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    return connection


def take(connection: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    parts = b""
    while len(parts) < count and (part := connection.recv(count - len(parts))):
        parts += part
    return parts
