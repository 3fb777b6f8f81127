"""The other side of the handle: on a port of its own, a test says what is served and goes wrong."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.hub.faults import Fault
from tests.support.hub.journal import Wanted
from tests.support.hub.serving import World


class Control:
    """What may be asked for, by name; arguments and answers are JSON."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = world.router.shelf

    def create(self, name: str, **settings: Any) -> None:
        self._shelf.create(name, settings)

    def push(
        self, name: str, folder: str, sparse: dict[str, int], gone: list[str], branch: str
    ) -> str:
        return self._shelf.push(name, Path(folder), sparse, gone, branch)

    def tag(self, name: str, tag: str, commit: str) -> None:
        repository = self._shelf.repositories[name]
        if commit not in repository.commits:
            raise ValueError(f"{name} has no commit {commit}")
        repository.tags[tag] = commit

    def rename(self, old: str, new: str) -> None:
        self._shelf.rename(old, new)

    def delete(self, name: str) -> None:
        del self._shelf.repositories[name]

    def publish(self, path: str, file: str) -> str:
        """sha256 of the file of a release."""
        self._shelf.releases[path] = blob = self._shelf.keep(Path(file))
        return blob.sha256

    def fault(self, **wanted: Any) -> int:
        return self._world.book.add(**wanted).number

    def count(self, number: int) -> int:
        return self._world.book.find(number)[0].count

    def struck(self, number: int, count: int, timeout: float) -> bool:
        """Wait until a fault has happened so often; whether it has."""
        fault: Fault = self._world.book.find(number)[0]
        return self._world.journal.wait(lambda: fault.count >= count, timeout)

    def release(self, number: int | None = None) -> None:
        self._world.book.release(number)

    def clear(self, number: int | None = None) -> None:
        self._world.book.clear(number)

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        records = self._world.journal.records(Wanted(**wanted))
        return [dataclasses.asdict(record) for record in records]

    def forget(self) -> None:
        self._world.journal.clear()

    def wait(self, count: int, timeout: float, **wanted: Any) -> bool:
        """Wait until so many requests of a kind are there; whether they are."""
        journal, kind = self._world.journal, Wanted(**wanted)
        return journal.wait(lambda: len(journal.records(kind)) >= count, timeout)

    def stop(self, host: str) -> None:
        self._world.listeners[host].stop()

    def start(self, host: str) -> None:
        self._world.listeners[host].start()


def listen(control: Control) -> str:
    """Serve it from a thread; its URL."""
    handler = type("Handler", (_Handler,), {"control": control})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    control: Control
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self._done(self.path.strip("/"), arguments)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _done(self, name: str, arguments: dict[str, Any]) -> tuple[int, Any]:
        action: Callable[..., Any] | None = None
        if not name.startswith("_"):
            action = getattr(self.control, name, None)
        if action is None:
            return 404, f"no such request: {name}"
        try:
            return 200, action(**arguments)
        except Exception as error:
            return 400, f"{type(error).__name__}: {error}"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
