"""Files of a bundle into the hub cache: huggingface_hub downloads them itself, from a server on
loopback that has the bundle. It has no way to be given a file, and the layout is its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from cvl.core.weights import RepoFile
from cvl.hub.arriving import Arriving
from cvl.hub.messages import Reply, Unpack
from cvl.hub.repos import fetch

CHUNK = 1 << 20


def unpack(request: Unpack, say: Callable[[Reply], None], arriving: Arriving) -> None:
    with _serving(request) as hub:
        fetch(request.fetch, say, arriving, hub)


@contextlib.contextmanager
def _serving(request: Unpack) -> Iterator[str]:
    """Address of a hub with this one commit. Its first word is a secret: other users of the machine
    reach loopback too."""
    secret = secrets.token_hex(16)

    class Handler(_Handler):
        unpack = request
        prefix = f"/{secret}/"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{secret}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """What huggingface_hub asks for: the list of the commit's files, and each file."""

    protocol_version = "HTTP/1.1"
    unpack: Unpack
    prefix: str

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        fetch = self.unpack.fetch
        path = unquote(urlsplit(self.path).path)
        tree = f"{self.prefix}api/models/{fetch.repo}/tree/{fetch.commit}"
        files = f"{self.prefix}{fetch.repo}/resolve/{fetch.commit}/"
        if path == tree:
            self._say_tree(body)
        elif path.startswith(files) and path[len(files) :] in self.unpack.places:
            self._send_file(path[len(files) :], body)
        else:
            self.send_error(404)

    def _say_tree(self, body: bool) -> None:
        listed = [_listed(path, file) for path, file in sorted(self.unpack.listing.items())]
        text = json.dumps(listed).encode()
        self._begin(len(text), "application/json")
        if body:
            self.wfile.write(text)

    def _send_file(self, path: str, body: bool) -> None:
        file, place = self.unpack.fetch.files[path], self.unpack.places[path]
        etag = {"ETag": f'"{file.blob}"', "X-Repo-Commit": self.unpack.fetch.commit}
        name = {"Content-Disposition": f"inline; filename*=UTF-8''{quote(Path(path).name)}"}
        self._begin(file.size, "application/octet-stream", **etag, **name)
        if not body:
            return
        left = file.size
        with open(self.unpack.bundle, "rb") as stream:
            stream.seek(place)
            while left and (chunk := stream.read(min(CHUNK, left))):
                self.wfile.write(chunk)
                left -= len(chunk)
        self.close_connection = self.close_connection or bool(left)

    def _begin(self, size: int, kind: str, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(size), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


def _listed(path: str, file: RepoFile) -> dict[str, Any]:
    """As the hub lists it. In git, a large file is a small one that points to it."""
    if file.git:
        return {"type": "file", "path": path, "size": file.size, "oid": file.git}
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.size}\n"
    ).encode()
    oid = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)}
    return {"type": "file", "path": path, "size": file.size, "oid": oid, "lfs": lfs}
