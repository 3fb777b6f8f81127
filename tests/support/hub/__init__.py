"""A stand-in for the Hugging Face hub on loopback, in a process of its own, and a handle to it.

    with Hub(tmp_path / "hub") as hub:
        commit = hub.push("org/name", {"config.json": b"{}", "model.safetensors": Path("x")})
        fault = hub.fault("org/name", "model.safetensors", "cut", at=0.5)
        child = subprocess.Popen(..., env={**os.environ, **hub.environment(tmp_path / "hf")})

It has three listeners: the hub, the storage host that large files are redirected to (`cdn`), and a
foreign host that the fault `redirect` leads to (`elsewhere`), each with its own loopback address.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from tests.support.hub.journal import Record
from tests.support.hub.routes import GOOD_TOKEN, STRANGER_TOKEN

__all__ = ["BAD_TOKEN", "GOOD_TOKEN", "STRANGER_TOKEN", "Fault", "Hub", "Record", "Release"]

BAD_TOKEN = "hf_badBadBadBadBadBadBadBadBadBadBadBadB"
ROOT = Path(__file__).parent.parent.parent.parent
TIMEOUT_S = 30.0
Content = bytes | str | Path | int | None


@dataclass(frozen=True)
class Release:
    """A file at a URL of its own, as of a GitHub release."""

    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Fault:
    """A fault that was switched on."""

    hub: Hub
    number: int

    @property
    def count(self) -> int:
        """How many requests it has happened to."""
        return int(self.hub.ask("count", number=self.number))

    def wait(self, count: int = 1, timeout: float = TIMEOUT_S) -> None:
        """Block until it has happened to so many requests; TimeoutError."""
        if not self.hub.ask("struck", number=self.number, count=count, timeout=timeout):
            raise TimeoutError(f"the fault happened {self.count} times, not {count}\n{self.hub}")

    def release(self) -> None:
        """Let go the requests that it holds, stalls or slows; it is over then."""
        self.hub.ask("release", number=self.number)

    def clear(self) -> None:
        """No further request meets it."""
        self.hub.ask("clear", number=self.number)


class Hub:
    """The stand-in's process. It ends with the `with` block, and when this process is killed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hub.server", str(root)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        listening = json.loads(self._process.stdout.readline())
        self.url: str = listening["hub"]
        self.cdn_url: str = listening["cdn"]
        self.elsewhere_url: str = listening["elsewhere"]
        self._control = urlsplit(listening["control"])

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; whoever is connected is cut off."""
        self._process.kill()
        self._process.communicate()

    def __str__(self) -> str:
        """What was asked of it, a line per request."""
        return "\n".join(
            f"{r.number:4} {r.host} {r.method} {r.path} {r.range} {r.status} {r.sent} {r.token}"
            for r in self.log()
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Variables for a child that uses this hub, with its cache and token below `home`."""
        made = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,127.0.0.2,127.0.0.3",
            "no_proxy": "127.0.0.1,127.0.0.2,127.0.0.3",
        }
        return made if token is None else {**made, "HF_TOKEN": token}

    def create(self, repo: str, **settings: Any) -> None:
        """Make a repository with one empty commit, or change one's settings (repos.Settings)."""
        self.ask("create", name=repo, **settings)

    def push(self, repo: str, files: Mapping[str, Content] | Path, *, branch: str = "main") -> str:
        """Commit files to a branch (made from main where there is none) and return its id.

        `files`: a folder, or content by path: bytes, text, a file, None to take it out, or a
        number: listed as that many bytes (zeros that take no disk, with made-up digests).
        """
        staged = self.root / uuid.uuid4().hex
        staged.mkdir()
        sparse: dict[str, int] = {}
        gone: list[str] = []
        if isinstance(files, Path):
            shutil.copytree(files, staged, dirs_exist_ok=True)
            files = {}
        for path, content in files.items():
            if content is None:
                gone.append(path)
            elif isinstance(content, int):
                sparse[path] = content
            else:
                _write(staged / path, content)
        arguments = {"folder": str(staged), "sparse": sparse, "gone": gone, "branch": branch}
        commit = str(self.ask("push", name=repo, **arguments))
        shutil.rmtree(staged)
        return commit

    def tag(self, repo: str, tag: str, commit: str) -> None:
        self.ask("tag", name=repo, tag=tag, commit=commit)

    def rename(self, old: str, new: str) -> None:
        """The old name leads to the new one."""
        self.ask("rename", old=old, new=new)

    def delete(self, repo: str) -> None:
        self.ask("delete", name=repo)

    def publish(self, path: str, content: bytes | Path) -> Release:
        """A file at `{url}/files/{path}`, from where a redirect leads to the storage host."""
        staged = self.root / uuid.uuid4().hex
        _write(staged, content)
        size = staged.stat().st_size
        digest = str(self.ask("publish", path=path, file=str(staged)))
        return Release(f"{self.url}/files/{quote(path)}", digest, size)

    def fault(
        self,
        repo: str,
        path: str,
        kind: str,
        *,
        times: int | None = 1,
        skip: int = 0,
        on: str = "body",
        **how: Any,
    ) -> Fault:
        """Switch a fault on (faults.KINDS and faults.Fault say what there is).

        `repo` and `path` are patterns; the repository of releases is `files`, the path of API
        requests `api:revision`, `api:tree`... (with on="api").
        """
        wanted = {"repo": repo, "file": path, "kind": kind, "times": times, "skip": skip, "on": on}
        return Fault(self, int(self.ask("fault", **wanted, **how)))

    def release(self) -> None:
        """Let go everything that is held, stalled or slowed; those faults are over then."""
        self.ask("release")

    def clear(self) -> None:
        """Switch all faults off, and let go what waits."""
        self.ask("clear")
        self.ask("release")

    def log(self, **wanted: Any) -> list[Record]:
        """Requests so far, in order; `wanted` as in wait_for."""
        return [Record(**record) for record in self.ask("log", **wanted)]

    def forget(self) -> None:
        """Begin the log anew."""
        self.ask("forget")

    def gets(self, repo: str, path: str) -> int:
        """How many GETs were answered with all of a file: 200, whatever became of its bytes."""
        return len([r for r in self.log(method="GET", repo=repo, path=path, status=200)])

    def wait_for(
        self, method: str = "*", *, count: int = 1, timeout: float = TIMEOUT_S, **wanted: Any
    ) -> list[Record]:
        """Block until `count` requests of a kind are in the log, and return them; TimeoutError.

        `wanted` (journal.Wanted): repo, path, host, status, sent=N (so many bytes of its body
        were given to the socket), done=True (its answer is over).
        """
        if not self.ask("wait", count=count, timeout=timeout, method=method, **wanted):
            raise TimeoutError(f"no {count} of {method} {wanted}\n{self}")
        return self.log(method=method, **wanted)

    def stop(self, host: str = "hub") -> None:
        """Refuse connections to a listener and end those there are; its port stays its own."""
        self.ask("stop", host=host)

    def start(self, host: str = "hub") -> None:
        """Listen again, on the same port."""
        self.ask("start", host=host)

    def ask(self, action: str, **arguments: Any) -> Any:
        """Tell the process something; ValueError where it does not understand."""
        waits = float(arguments.get("timeout", 0))
        address = (str(self._control.hostname), self._control.port)
        connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S + waits)
        try:
            connection.request("POST", f"/{action}", json.dumps(arguments))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer)
        return answer


def _write(path: Path, content: bytes | str | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
