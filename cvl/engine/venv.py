"""The venv engine: a step is a process of this machine, in a virtual environment of its example.

It speaks the same protocol as docker. What a container is there is here a folder below `processes`
with the request for it and how it ended; what an image is, an environment below `envs`. The process
is kept by cvl/engine/supervisor.py, which outlives this one just long enough to end everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cvl.core import owner as labels
from cvl.core.container import (
    ContainerSpec,
    ContainerState,
    EngineFacts,
    FoundContainer,
    FoundImage,
)
from cvl.core.dockerfile import BUNDLE
from cvl.disks import full_disk, names_full
from cvl.engine import supervisor
from cvl.engine.enter import enter_process
from cvl.engine.environment import (
    Environment,
    made_now,
    make_environment,
    platform_tag,
    read_environment,
    remove_environment,
    uv_program,
)
from cvl.engine.protocol import BuildSpec, Cancelled, OnBuild, OnLog
from cvl.engine.venv_run import VenvRun
from cvl.errors import BuildError, EngineError

END_S = 15.0
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
IDENTITY = "venv:"
LOCALE = ("LANG", "LC_ALL", "LC_CTYPE")


class VenvEngine:
    """Implements cvl.engine.protocol.Engine. memory: bytes that a step may have at most; warn:
    receives one sentence for what could not be ended."""

    def __init__(
        self, envs: Path, processes: Path, memory: int, warn: Callable[[str], None]
    ) -> None:
        self._envs, self._processes = envs, processes
        self._warn = warn
        self._runs: dict[str, VenvRun] = {}
        self._facts = EngineFacts(
            name=platform.node(), version=platform_tag(), memory=memory, kind="venv"
        )

    def facts(self) -> EngineFacts:
        return self._facts

    def can_build(self) -> bool:
        try:
            return bool(uv_program())
        except EngineError:
            return False

    def image_id(self, reference: str) -> str | None:
        found = self._environment(reference)
        return found.id if found else None

    def build(self, spec: BuildSpec, on_progress: OnBuild, cancelled: Cancelled) -> str:
        """Make the environment of a context. The caller holds the lock of that context."""
        identity = f"{IDENTITY}{spec.labels[labels.CONTEXT]}"

        def marker() -> dict[str, object]:
            return {
                "tag": _tagged(spec.tag), "id": identity, "labels": spec.labels,
                "python": platform_tag(), "made": made_now(),
            }  # fmt: skip

        try:
            folder = self._folder(spec.tag)
            context = Path(spec.context_dir)
            binary = "SOURCE_BUILDS" not in spec.args
            make_environment(
                folder,
                context,
                marker,
                on_progress,
                cancelled,
                only_binary=binary,
                authorities=spec.secrets.get(BUNDLE, ""),
                withheld=spec.withheld,
            )
        except OSError as error:
            if names_full(error):
                raise full_disk(self._envs, error=error) from error
            raise BuildError(f"its virtual environment could not be made: {error}") from error
        return identity

    def pull(self, reference: str, on_progress: OnBuild, cancelled: Cancelled) -> str:
        raise EngineError(
            f"{reference} is an image, and a virtual environment is none",
            hint="give --engine docker",
            code="needs_docker",
        )

    def create(self, spec: ContainerSpec) -> str:
        """Write down what is to run: whoever finds the folder can tell whose it is."""
        environment = self._environment(spec.image)
        if environment is None:
            raise EngineError(f"no such image: {spec.image}", code="no_environment")
        folder = self._processes / spec.name
        try:
            folder.mkdir(mode=0o700, parents=True)
            text = json.dumps(_process_spec(spec, environment))
            part = folder / ".spec.json"
            part.write_text(text)
            for name in supervisor.NOTES:  # it must be able to say how it ended on a full disk
                (folder / f"{name}.part").write_text(" " * supervisor.NOTE_BYTES)
            part.replace(folder / "spec.json")
        except FileExistsError as error:
            raise EngineError(f"the name {spec.name} is in use") from error
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if names_full(error):
                raise full_disk(folder, error=error) from error
            raise EngineError(f"cannot use {folder}: {error.strerror}") from error
        return spec.name

    def start(
        self, container: str, stdin: bytes, on_log: OnLog, on_errors: OnLog | None = None
    ) -> VenvRun:
        run = VenvRun(self._process(container), stdin, on_log, self._warn)
        self._runs[container] = run
        return run

    def state(self, container: str) -> ContainerState:
        """Of what another process started, its folder tells."""
        folder, run = self._process(container), self._runs.get(container)
        running = _supervisor(folder) > 0 if run is None else not run.wait(0)
        started = run is not None or (folder / "pid").exists()
        if running or not started:
            return ContainerState(running, 0, False, "", started=started)
        return _end_of(folder)

    def stop(self, container: str, grace_s: float) -> None:
        run = self._runs.get(container)
        if run is not None:
            run.say(f"T{grace_s:g}\n")

    def kill(self, container: str) -> None:
        run = self._runs.get(container)
        if run is not None:
            run.say("K\n")

    def enter(
        self,
        container: str,
        command: tuple[str, ...],
        *,
        terminal: bool,
        cancelled: Cancelled,
        output: Callable[[bytes], None] | None,
    ) -> int:
        """See Enterable: with the variables and in the folder that the process would have."""
        spec = next(spec for folder, spec in self._known() if folder.name == container)
        values, folder = spec["environment"], spec["working_dir"]
        return enter_process(
            values, folder, command, terminal=terminal, cancelled=cancelled, output=output
        )

    def remove(self, container: str) -> None:
        """End whatever still runs of it, then forget it."""
        folder = self._processes / container
        run = self._runs.pop(container, None)
        if run is not None:
            run.say("K\n")
            run.wait(END_S)
            run.close()
        _end_ghost(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def find(self, labels: dict[str, str]) -> list[FoundContainer]:
        found = []
        for folder, spec in self._known():
            if _carries(spec["labels"], labels):
                found.append(FoundContainer(folder.name, spec["labels"], _supervisor(folder) > 0))
        return found

    def images(self, labels: dict[str, str]) -> list[FoundImage]:
        return [
            FoundImage(e.id, (e.tag,), dict(e.labels), _size(e.folder))
            for e in self._all()
            if _carries(e.labels, labels)
        ]

    def build_cache_size(self) -> int:
        return 0

    def remove_image(self, reference: str) -> None:
        found = self._environment(reference)
        if found is None:
            self._remove_half(reference)
            return
        if any(spec["image"] == found.id for _, spec in self._known()):
            hint = "cvl ps shows by which run"
            raise EngineError(f"{reference} is in use", hint=hint, code="image_in_use")
        remove_environment(found.folder)

    def _remove_half(self, reference: str) -> None:
        """What an interrupted making left, by its tag or the name of its folder. A whole one that
        has this name is another's."""
        names = (_folder_name(reference), reference)
        for folder in _folders(self._envs):
            if folder.name in names and read_environment(folder) is None:
                remove_environment(folder)

    def _folder(self, tag: str) -> Path:
        return self._envs / _folder_name(tag)

    def _process(self, container: str) -> Path:
        """Folder of what was created and is not removed."""
        folder = self._processes / container
        if not (folder / "spec.json").is_file():
            raise EngineError(f"no such container: {container}")
        return folder

    def _environment(self, reference: str) -> Environment | None:
        """By its tag or its id."""
        if reference.startswith(IDENTITY):
            return next((e for e in self._all() if e.id == reference), None)
        found = read_environment(self._folder(reference))
        return found if found and found.tag == _tagged(reference) else None

    def _all(self) -> Iterator[Environment]:
        for folder in _folders(self._envs):
            found = read_environment(folder)
            if found is not None:
                yield found

    def _known(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for folder in _folders(self._processes):
            with contextlib.suppress(OSError, ValueError):
                yield folder, json.loads((folder / "spec.json").read_text())


def _process_spec(spec: ContainerSpec, environment: Environment) -> dict[str, Any]:
    """What the supervisor is told, and what find() looks at. Nothing secret is in it."""
    values = {name: os.environ[name] for name in LOCALE if name in os.environ}
    path = os.environ.get("PATH") or SYSTEM_PATH
    values.update(spec.environment)
    values["PATH"] = f"{environment.program.parent}{os.pathsep}{path}"
    values["VIRTUAL_ENV"] = str(environment.folder)
    values[supervisor.MARK] = spec.name
    limits = {"RLIMIT_FSIZE": spec.file_size, "RLIMIT_CORE": 0}
    if not spec.gpus:  # a driver maps far more than it uses
        limits["RLIMIT_DATA"] = spec.memory
    return {
        "labels": {**environment.labels, **spec.labels},
        "image": environment.id,
        "command": [str(environment.program), str(environment.app / "predict.py")],
        "working_dir": str(environment.app),
        "environment": values,
        "limits": limits,
    }


def _end_of(folder: Path) -> ContainerState:
    """How a process ended, as its supervisor wrote it down."""
    try:
        data = json.loads((folder / "state.json").read_text())
        return ContainerState(
            False, int(data["exit_code"]), bool(data["oom_killed"]), "", started=True
        )
    except (OSError, ValueError, KeyError):
        why = "what watches over its process was killed"
        return ContainerState(False, 137, False, why, started=True)


def _supervisor(folder: Path) -> int:
    """Pid of the supervisor that works for this folder; 0 when it is gone."""
    try:
        pid, start = (folder / "pid").read_text().split()
    except (OSError, ValueError):
        return 0
    return int(pid) if supervisor.start_time(int(pid)) == start else 0


def _end_ghost(folder: Path) -> None:
    """What another process started. Its supervisor ends by itself as soon as its owner is gone; one
    that does not is killed, and what it left is found by the mark in its environment."""
    end = time.monotonic() + END_S
    while _supervisor(folder) and time.monotonic() < end:
        time.sleep(supervisor.PAUSE_S)
    pid = _supervisor(folder)
    if pid:
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
    if (folder / "state.json").exists():
        return
    while left := supervisor.marked(folder.name):
        for other in left:
            with contextlib.suppress(OSError):
                os.kill(other, 9)
        if time.monotonic() > end:
            return
        time.sleep(supervisor.PAUSE_S)


def _folders(parent: Path) -> list[Path]:
    """Those of this user: nothing of another's is run, ended or removed."""
    try:
        me = os.geteuid()
        return sorted(p for p in parent.iterdir() if p.is_dir() and p.lstat().st_uid == me)
    except OSError:
        return []


def _size(folder: Path) -> int:
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def _folder_name(tag: str) -> str:
    """cvl/tts:0123... is in tts-0123..."""
    return _tagged(tag).rpartition("/")[2].replace(":", "-")


def _tagged(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _carries(has: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(key in has and value in ("", has[key]) for key, value in wanted.items())
