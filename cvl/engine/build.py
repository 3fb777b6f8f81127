"""BuildKit builds, through whichever docker client on this machine can: docker-py cannot speak to
BuildKit, and a docker 23+ client without the buildx plugin cannot build at all."""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cvl.core.redaction import without_secrets
from cvl.disks import full_disk, is_full, mount_of
from cvl.engine.endpoint import Endpoint
from cvl.engine.protocol import BuildProgress, BuildSpec, Cancelled, OnBuild
from cvl.errors import BuildError, DiskFullError, EngineError

PLACES = ("/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/homebrew/bin", "/bin")
PROBE_TIMEOUT_S = 10
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere"}
"""A client that has no plugin asks its engine, which may be frozen, before it says so."""
TAIL_LINES = 25
Root = Callable[[], str]
"""The engine's own folder; empty when it is not known."""
_STEP = re.compile(r"#\d+ \[(?:[^\]]*?\s)?\s*(\d+)/(\d+)\] ")
_MODERN = 23


def nowhere() -> str:
    return ""


@dataclass(frozen=True)
class BuildClient:
    """A docker client that can build, and how it is asked to."""

    path: str
    version: str
    buildx: bool

    def command(self) -> list[str]:
        """argv up to the options that both ways share."""
        return [self.path, "buildx", "build", "--load"] if self.buildx else [self.path, "build"]


def candidates() -> list[str]:
    """Every docker client of this machine, in the order of PATH, each file once."""
    named = os.environ.get("CVL_DOCKER_CLIENT")
    folders = [*os.environ.get("PATH", "").split(os.pathsep), *PLACES]
    paths = [named] if named else [os.path.join(f, "docker") for f in folders if f]
    found: dict[str, str] = {}
    for path in paths:
        if os.access(path, os.X_OK) and os.path.isfile(path):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


@cache
def probe(path: str) -> BuildClient | None:
    """How this client can build, or None: buildx when it has it, else the built-in BuildKit of
    clients before 23."""
    version = _ask([path, "--version"])
    match = re.search(r"version (\d+)\.(\S+?),?(?:\s|$)", version or "")
    if match is None:
        return None
    shown = f"{match.group(1)}.{match.group(2)}"
    if _ask([path, "buildx", "version"]) is not None:
        return BuildClient(path, shown, buildx=True)
    return BuildClient(path, shown, buildx=False) if int(match.group(1)) < _MODERN else None


def find_client() -> BuildClient:
    """The first client that can build; EngineError names what was tried."""
    tried = candidates()
    for path in tried:
        client = probe(path)
        if client is not None:
            return client
    shown = ", ".join(tried) or "none found"
    raise EngineError(
        f"no docker client here can build images with BuildKit (tried: {shown})",
        hint="install the buildx plugin (package docker-buildx-plugin or docker-buildx)",
        code="no_build_client",
    )


def _ask(command: list[str]) -> str | None:
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False,
            env={**without_secrets(os.environ), **NO_ENGINE},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def build_image(
    endpoint: Endpoint,
    spec: BuildSpec,
    on_progress: OnBuild,
    cancelled: Cancelled,
    root: Root = nowhere,
) -> str:
    """Build `spec` and return the image's id; BuildError carries the tail of the build's output.
    root: asked for the folder of the engine when a disk is full."""
    process = _start(find_client(), endpoint, spec)
    tail = _follow(process, on_progress, cancelled)
    if process.returncode != 0:
        raise _failure(tail, spec, root)
    return Path(spec.id_file).read_text().strip()


def build_command(client: BuildClient, spec: BuildSpec) -> list[str]:
    """The exact argv of a build; `--dry-run` shows it."""
    command = [*client.command(), "--progress=plain", "--iidfile", spec.id_file, "--tag", spec.tag]
    for key, value in spec.labels.items():
        command += ["--label", f"{key}={value}"]
    for key, value in spec.args.items():
        command += ["--build-arg", f"{key}={value}"]
    for name in spec.inherited:
        command += ["--build-arg", name]
    for name, path in spec.secrets.items():
        command += ["--secret", _secret(name, path)]
    if spec.network:
        command += ["--network", spec.network]
    return [*command, "--", spec.context_dir]


def _secret(name: str, path: str) -> str:
    """The client reads a line of CSV."""
    source = f"src={path}"
    if any(character in path for character in ',"'):
        source = '"' + source.replace('"', '""') + '"'
    return f"id={name},{source}"


def _start(client: BuildClient, endpoint: Endpoint, spec: BuildSpec) -> subprocess.Popen[bytes]:
    kept = without_secrets(os.environ, spec.withheld)
    environment = {**kept, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": endpoint.url}
    environment.pop("DOCKER_CONTEXT", None)
    return subprocess.Popen(
        [*_die_with_parent(), *build_command(client, spec)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Its own group, so that a Ctrl-C in the terminal reaches us alone and we end it in order.
        start_new_session=True,
    )


def _die_with_parent() -> list[str]:
    """util-linux's way to end the client when cvl is killed: the engine then cancels the build."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _follow(
    process: subprocess.Popen[bytes], on_progress: OnBuild, cancelled: Cancelled
) -> list[str]:
    """Read the build's output until it ends, or end it when `cancelled` says so."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            lines.put(raw.decode(errors="replace").rstrip("\r\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True, name="cvl-build").start()
    tail: list[str] = []
    done = total = 0
    try:
        while True:
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                line = ""
            if line is None:
                process.wait()
                return tail
            if cancelled():
                return tail
            if line:
                tail = [*tail[-TAIL_LINES:], line]
                match = _STEP.match(line)
                if match:
                    done, total = int(match.group(1)) - 1, int(match.group(2))
                on_progress(BuildProgress(line, done, total))
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(signum)
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            continue


def says_full(text: str) -> bool:
    """Are these the words for a full disk?"""
    return any(words in text.lower() for words in ("no space left on device", "quota exceeded"))


def full_engine(root: str) -> DiskFullError:
    """The disk with the engine's folder `root` is full; in a virtual machine it is not seen
    here."""
    if root and os.path.isdir(root):
        mount = f"at {mount_of(Path(root))}, which holds Docker's images and containers,"
    else:
        mount = f"of the Docker engine{f' ({root})' if root else ''}"
    return DiskFullError(
        f"the disk {mount} is full",
        hint="cvl gc removes what cvl no longer needs; docker system df shows the rest",
    )


def is_full_engine(root: str) -> bool:
    """Is there no room left where the engine keeps everything? False where that is not seen."""
    return bool(root) and os.path.isdir(root) and is_full(Path(root))


def _failure(tail: list[str], spec: BuildSpec, root: Root) -> BuildError | DiskFullError:
    text = "\n".join(tail)
    if says_full(text):
        # The client writes down the id beside the context.
        ours = Path(spec.id_file).parent
        return full_disk(ours) if is_full(ours) else full_engine(root())
    shown = "\n".join(f"  {line}" for line in tail[-TAIL_LINES:])
    return BuildError(
        f"the image could not be built:\n{shown}",
        hint="the line after ERROR says why; mend it and build again",
    )
