"""Where a canary is: every place that something of a run may end up in."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cvl.engine.build import find_client
from tests.support.engine import Engine
from tests.support.packages import which

FILES = {
    "records": ("state/cvl.db*",), "logs": ("state/runs/**/*",),
    "keys": ("cache/**/*", "state/**/*"),
}  # fmt: skip
"""Sink -> files below CVL_HOME."""
SINKS = (
    "argv", "environment", "inspect", "labels", "layers", "history", "logs", "records", "sidecars",
    "keys", "error text", "crash log",
)  # fmt: skip
RECORDER = """#!/bin/sh
{ printf '%s\\0' "$0" "$@"; } >> @FOLDER@/argv
cat /proc/self/environ >> @FOLDER@/environment
exec @CLIENT@ "$@"
"""


@dataclass(frozen=True)
class Canary:
    """A value that nobody else has. It is looked for as it is, and as programs may print it."""

    value: str

    @property
    def spellings(self) -> tuple[bytes, ...]:
        raw = self.value.encode()
        return raw, base64.b64encode(raw)[2:-4], raw.hex().encode()

    def within(self, data: bytes) -> bool:
        return any(spelling in data for spelling in self.spellings)


@dataclass
class Hits:
    """Sink -> where in it a canary was found; `looked` counts what was looked at."""

    canaries: tuple[Canary, ...]
    found: dict[str, list[str]] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)

    def look(self, sink: str, where: str, data: bytes | str) -> None:
        text = data.encode() if isinstance(data, str) else data
        self.looked[sink] = self.looked.get(sink, 0) + bool(text)
        if any(canary.within(text) for canary in self.canaries):
            self.found.setdefault(sink, []).append(where)

    def look_at_processes(self, but: set[int]) -> None:
        """What every process of the machine shows of itself; `but`: those that were given it."""
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) not in but:
                for sink, name in (("argv", "cmdline"), ("environment", "environ")):
                    try:
                        self.look(sink, f"{name} of {process.name}", (process / name).read_bytes())
                    except OSError:
                        continue

    def look_at_container(self, engine: Engine, container: str) -> None:
        told = engine.inspect(container)
        config = told["Config"]
        assert isinstance(config, dict)
        self.look("inspect", container, json.dumps(told))
        self.look("environment", container, json.dumps(config["Env"]))
        self.look("labels", container, json.dumps(config["Labels"]))
        log = [which("docker") or "docker", "--host", engine.host, "logs", container]
        self.look("logs", container, subprocess.run(log, capture_output=True, check=False).stdout)

    def look_at_image(self, engine: Engine, image: str, *, layers: bool) -> None:
        told = engine.inspect(image)
        config = told["Config"]
        assert isinstance(config, dict)
        self.look("inspect", image, json.dumps(told))
        self.look("labels", image, json.dumps(config.get("Labels")))
        self.look("history", image, engine.docker("history", "--no-trunc", image))
        if layers:
            self._look_at_layers(engine, image)

    def _look_at_layers(self, engine: Engine, image: str) -> None:
        command = [which("docker") or "docker", "--host", engine.host, "save", image]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as save:
            assert save.stdout is not None
            kept = b""
            while chunk := save.stdout.read(8 << 20):
                self.look("layers", image, kept + chunk)
                kept = chunk[-200:]
        assert save.returncode == 0

    def look_at_files(self, home: Path, published: Path, *others: Path) -> None:
        """CVL_HOME, the folder that cvl was called in, and wherever else it may write. What a
        program that still runs writes into its private folder is its own."""
        seen = set((home / "cache" / "work").glob("*/*/control/**/*"))
        for sink, patterns in FILES.items():
            for path in {p for pattern in patterns for p in home.glob(pattern)} - seen:
                seen.add(path)
                self._look_at_file(sink, path)
        for path in published.rglob("*"):
            self._look_at_file("sidecars", path)
        for folder in others:
            for path in folder.rglob("*"):
                self._look_at_file("crash log", path)

    def _look_at_file(self, sink: str, path: Path) -> None:
        self.look(sink, f"name of {path}", path.name)
        if path.is_file() and not path.is_symlink():
            self.look(sink, str(path), path.read_bytes())

    def table(self) -> str:
        """`sink: where` of each hit."""
        return "\n".join(f"{sink}: {', '.join(where)}" for sink, where in self.found.items())


def recording_client(folder: Path) -> Path:
    """A docker client that writes down its words and its variables below `folder`."""
    client = folder / "docker"
    text = RECORDER.replace("@FOLDER@", str(folder)).replace("@CLIENT@", find_client().path)
    client.write_text(text)
    client.chmod(0o755)
    return client
