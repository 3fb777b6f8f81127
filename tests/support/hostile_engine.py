"""A Docker engine whose every word is hostile: labels and names of its things, its warnings, and
what it says when it refuses."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

from tests.support.escapes import NAME, TEXT

LABELS = {"org.cvl.example": TEXT, "org.cvl.context": TEXT, "org.cvl.run": TEXT, TEXT: TEXT}
IMAGE = {
    "Id": f"sha256:{TEXT}", "RepoTags": [f"cvl/{TEXT}:{TEXT[:20]}"], "Labels": LABELS, "Size": 1,
    "Config": {"Env": [f"NVIDIA_REQUIRE_CUDA={TEXT}", f"CUDA_VERSION={TEXT}"]},
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/version": {"ApiVersion": "1.41", "Components": [{"Name": TEXT, "Version": TEXT}]},
    "/info": {
        "Name": TEXT, "ServerVersion": TEXT, "OperatingSystem": TEXT, "DockerRootDir": f"/{NAME}",
        "Driver": TEXT, "CgroupDriver": TEXT, "CgroupVersion": "2", "MemTotal": 1 << 33,
        "SecurityOptions": [TEXT], "Runtimes": {TEXT: {}}, "Warnings": [TEXT, f"WARNING: {TEXT}"],
    },
    "/containers/json": [{"Id": TEXT, "Labels": LABELS, "State": "running"}],
    "/images/json": [IMAGE],
    "/images/[^/]+/json": IMAGE,
    "/system/df": {"BuildCache": [{"ID": TEXT, "Size": 5, "Shared": False, "InUse": False}]},
}  # fmt: skip

PODMAN = {
    "Components": [
        {"Name": "Podman Engine", "Version": "4.3.1", "Details": {"APIVersion": "4.3.1"}},
        {"Name": "Conmon", "Version": "conmon version 2.1.6, commit: unknown"},
        {"Name": "OCI Runtime (crun)", "Version": "crun version 1.8.1"},
    ],
    "Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24",
}  # fmt: skip
"""As Debian 12 has it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path = re.sub(r"^/v[0-9.]+", "", self.path.partition("?")[0])
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(path)  # type: ignore[attr-defined]
        answers = {**ANSWERS, **self.server.answers}  # type: ignore[attr-defined]
        known = [answer for pattern, answer in answers.items() if re.fullmatch(pattern, path)]
        refuses = not known or (self.server.refuses and path != "/version")  # type: ignore[attr-defined]
        data = json.dumps({"message": TEXT} if refuses else known[0]).encode()
        self.send_response(500 if refuses else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _answer

    def address_string(self) -> str:
        return "a test"

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    refuses = False
    answers: ClassVar[dict[str, Any]] = {}

    def __init__(self, path: str) -> None:
        super().__init__(path, _Handler)
        self.asked: list[str] = []


@contextmanager
def hostile_engine(folder: Path, *, refuses: bool = False) -> Iterator[str]:
    """Address of one that answers everything, or that refuses all but its version."""
    path = folder / f"{'refuses' if refuses else 'answers'}.sock"
    with _Server(str(path)) as server:
        server.refuses = refuses
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()


@contextmanager
def podman(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """What answers at a Podman socket, and what it was asked."""
    path = folder / "podman.sock"
    with _Server(str(path)) as server:
        server.answers = {"/version": PODMAN}  # type: ignore[misc]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}", server.asked
        server.shutdown()
