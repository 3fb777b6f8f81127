"""A stand-in registry on loopback that serves one image: enough of the distribution API to pull."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import socket
import struct
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.engine import Engine
from tests.support.packages import which

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@contextmanager
def serving(engine: Engine, image: str, folder: Path, *, to: Engine | None = None) -> Iterator[str]:
    """Serve `image` of the engine as `127.0.0.1:PORT/example`; yields that reference. to: an engine
    in a network namespace of its own that pulls it."""
    blobs = _blobs(engine, image, folder)
    handler = type("Handler", (_Handler,), {"blobs": blobs})
    with ThreadPoolExecutor(1) as there:
        if to is not None and to.process is not None:
            there.submit(_enter_network, to.process.pid).result()
        server = there.submit(ThreadingHTTPServer, ("127.0.0.1", 0), handler).result()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}/example:latest"
    finally:
        server.shutdown()
        server.server_close()


def _enter_network(pid: int) -> None:
    """Take this thread into the network namespace of a process, where loopback comes up. A socket
    stays in the namespace that it was made in."""
    clone_newnet, get_flags, set_flags, up = 0x40000000, 0x8913, 0x8914, 1
    with open(f"/proc/{pid}/ns/net") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), clone_newnet):
            raise OSError(ctypes.get_errno(), "setns")
    with socket.socket() as any_socket:
        found = fcntl.ioctl(any_socket, get_flags, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", found)[1]
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))


def _blobs(engine: Engine, image: str, folder: Path) -> dict[str, Path]:
    """Digest -> file, from `docker save`; the manifest is filed under its tag."""
    archive = folder / "image.tar"
    client = which("docker") or "docker"
    command = [client, "--host", engine.host, "save", "--output", str(archive), image]
    subprocess.run(command, check=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    described = json.loads((folder / "manifest.json").read_text())[0]
    config = folder / described["Config"]
    layers = [folder / name for name in described["Layers"]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(config, CONFIG),
        "layers": [_descriptor(layer, LAYER) for layer in layers],
    }
    text = folder / "v2-manifest.json"
    text.write_text(json.dumps(manifest))
    named = {_digest(path): path for path in (config, text, *layers)}
    return {**named, "latest": text}


def _descriptor(path: Path, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "size": path.stat().st_size, "digest": _digest(path)}


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    blobs: dict[str, Path]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/v2/":
            self._answer(b"{}", "application/json")
            return
        path = self.blobs.get(self.path.rpartition("/")[2])
        if path is None:
            self.send_error(404)
            return
        kind = MANIFEST if "/manifests/" in self.path else "application/octet-stream"
        self._answer(path.read_bytes(), kind)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
