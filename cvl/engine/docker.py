"""The docker engine, over its API socket. The command line client is used for BuildKit builds
only, the docker package for pulls: who may pull is in files and programs of the docker client."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from cvl.core.container import (
    ContainerSpec,
    ContainerState,
    EngineFacts,
    FoundContainer,
    FoundImage,
)
from cvl.engine.api import NEWEST, Api, ApiError
from cvl.engine.build import Root, build_image, find_client, nowhere
from cvl.engine.docker_run import DockerRun
from cvl.engine.documents import container_config, engine_facts, host_config
from cvl.engine.endpoint import Endpoint, refuse_remote, resolve_endpoint
from cvl.engine.protocol import BuildSpec, Cancelled, OnBuild, OnLog
from cvl.engine.pulse import Caller, Heartbeat
from cvl.engine.troubles import TIMEOUT, UNREACHABLE, lost, speaking
from cvl.errors import BuildError, CvlError, EngineError

CONTROL_TIMEOUT_S = 8
"""Whoever waits for an engine that does not answer is told within ten seconds."""
CREATE_TIMEOUT_S = 60
IMAGES_TIMEOUT_S = 300
GONE, CONFLICT = 404, 409


class DockerEngine:
    """Implements cvl.engine.protocol.Engine. Raises EngineError with one of the codes
    engine_unreachable, engine_permission, engine_remote, engine_podman, engine_timeout, engine, and
    engine_lost for one that has answered before and does so no more."""

    def __init__(self, endpoint: Endpoint | None = None, caller: Caller | None = None) -> None:
        self.endpoint = endpoint or resolve_endpoint()
        self._api = connect(self.endpoint, caller=caller)
        self._facts: EngineFacts | None = None

    def facts(self) -> EngineFacts:
        if self._facts is None:
            with self._speaking():
                self._facts = engine_facts(self._api.call("GET", "/info"))
        return self._facts

    def _root(self) -> str:
        """Where the engine keeps everything; empty when it does not say."""
        with contextlib.suppress(CvlError):
            return self.facts().root_dir
        return ""

    def can_build(self) -> bool:
        try:
            return bool(find_client())
        except EngineError:
            return False

    def image_id(self, reference: str) -> str | None:
        with self._speaking():
            try:
                return str(self._api.call("GET", f"/images/{reference}/json")["Id"])
            except ApiError as error:
                if error.status != GONE:
                    raise
                return None

    def build(self, spec: BuildSpec, on_progress: OnBuild, cancelled: Cancelled) -> str:
        with self._watched(cancelled) as over:
            return build_image(self.endpoint, spec, on_progress, over, self._root)

    def pull(self, reference: str, on_progress: OnBuild, cancelled: Cancelled) -> str:
        from cvl.engine.pull import pull_image

        with self._watched(cancelled) as over:
            pull_image(self.endpoint, reference, on_progress, over, self._root)
        return "" if cancelled() else self.image_id(reference) or ""

    def create(self, spec: ContainerSpec) -> str:
        document = {**container_config(spec), "HostConfig": host_config(spec)}
        name = {"name": spec.name}
        with self._speaking(self._root):
            created = self._api.call("POST", "/containers/create", name, document, CREATE_TIMEOUT_S)
        return str(created["Id"])

    def start(
        self, container: str, stdin: bytes, on_log: OnLog, on_errors: OnLog | None = None
    ) -> DockerRun:
        path = f"/containers/{container}"
        with self._speaking(self._root):
            attached = self._api.hijack(
                f"{path}/attach", {"stdin": True, "stdout": True, "stderr": True, "stream": True}
            )
            try:
                self._api.call("POST", f"{path}/start", timeout_s=CREATE_TIMEOUT_S)
            except BaseException:
                attached.socket.close()
                raise
        run = DockerRun(self._api, container, attached, on_log, on_errors or on_log)
        run.send(stdin)
        return run

    def enter(
        self,
        container: str,
        command: tuple[str, ...],
        *,
        terminal: bool,
        cancelled: Cancelled,
        output: Callable[[bytes], None] | None,
    ) -> int:
        from cvl.engine.enter import enter_container

        return enter_container(
            self.endpoint, container, command, terminal=terminal, cancelled=cancelled, output=output
        )

    def state(self, container: str) -> ContainerState:
        with self._speaking():
            state = self._api.call("GET", f"/containers/{container}/json")["State"]
        return ContainerState(
            running=bool(state["Running"]),
            exit_code=int(state["ExitCode"]),
            oom_killed=bool(state["OOMKilled"]),
            error=str(state.get("Error") or ""),
            started=not str(state.get("StartedAt", "0001")).startswith("0001"),
        )

    def stop(self, container: str, grace_s: float) -> None:
        """The engine waits out the grace itself; a thread holds that call, so that the caller can
        still kill."""

        def hold() -> None:
            grace, path = {"t": int(grace_s)}, f"/containers/{container}/stop"
            with contextlib.suppress(ApiError, OSError, CvlError):
                self._api.call("POST", path, grace, timeout_s=None)

        threading.Thread(target=hold, daemon=True, name="cvl-stop").start()

    def kill(self, container: str) -> None:
        """Gone, or not running any more, is what was asked for."""
        with self._speaking(), _but(GONE, CONFLICT):
            self._api.call("POST", f"/containers/{container}/kill")

    def remove(self, container: str) -> None:
        """Gone, or about to go, is what was asked for."""
        with self._speaking(), _but(GONE, CONFLICT):
            self._api.call("DELETE", f"/containers/{container}", {"force": True, "v": True})

    def find(self, labels: dict[str, str]) -> list[FoundContainer]:
        query = {"all": True, "filters": {"label": _wanted(labels)}}
        with self._speaking():
            rows = self._api.call("GET", "/containers/json", query)
        return [
            FoundContainer(row["Id"], dict(row["Labels"] or {}), row["State"] == "running")
            for row in rows
        ]

    def images(self, labels: dict[str, str]) -> list[FoundImage]:
        query = {"filters": {"label": _wanted(labels)}}
        with self._speaking():
            rows = self._api.call("GET", "/images/json", query, timeout_s=IMAGES_TIMEOUT_S)
        return [_found_image(row) for row in rows]

    def build_cache_size(self) -> int:
        with self._speaking():
            found = self._api.call("GET", "/system/df", timeout_s=IMAGES_TIMEOUT_S)
        cache = found.get("BuildCache") or []
        return sum(int(entry.get("Size") or 0) for entry in cache if not entry.get("Shared"))

    def remove_image(self, reference: str) -> None:
        query, timeout = {"force": False, "noprune": True}, IMAGES_TIMEOUT_S
        with self._speaking(), _but(GONE):
            try:
                self._api.call("DELETE", f"/images/{reference}", query, timeout_s=timeout)
            except ApiError as error:
                if error.status != CONFLICT:
                    raise
                raise EngineError(
                    f"{reference} is in use",
                    hint="docker ps -a shows by which container",
                    code="image_in_use",
                ) from error

    @contextlib.contextmanager
    def _speaking(self, root: Root = nowhere) -> Iterator[None]:
        """An engine that has answered before and does no more is lost."""
        try:
            with speaking(self.endpoint, root):
                yield
        except EngineError as error:
            if error.code not in (UNREACHABLE, TIMEOUT):
                raise
            raise lost(self.endpoint) from error

    @contextlib.contextmanager
    def _watched(self, cancelled: Cancelled) -> Iterator[Cancelled]:
        """For what asks the engine without us: when to end it. Why it failed is not read off its
        words: those for an engine that went away are many, and a RUN line may say them too."""
        beat = Heartbeat(self._api)
        try:
            yield lambda: cancelled() or beat.lost
        except (BuildError, EngineError) as error:
            if cancelled() or (not beat.lost and self._api.answers_now()):
                raise
            raise lost(self.endpoint) from error
        finally:
            beat.end()


@contextlib.contextmanager
def _but(*statuses: int) -> Iterator[None]:
    """These answers are as good as success."""
    try:
        yield
    except ApiError as error:
        if error.status not in statuses:
            raise


def _wanted(labels: dict[str, str]) -> list[str]:
    return [f"{key}={value}" if value else key for key, value in labels.items()]


def connect(
    endpoint: Endpoint, newest: tuple[int, ...] = NEWEST, caller: Caller | None = None
) -> Api:
    """The engine at `endpoint`, when it is one that cvl can use. Podman answers there too, but its
    socket builds nothing with BuildKit: that would be told in the middle of a run."""
    refuse_remote(endpoint)
    with speaking(endpoint):
        api = Api(endpoint, CONTROL_TIMEOUT_S, newest, caller)
    if any(part.startswith("Podman") for part in api.parts):
        raise EngineError(
            f"what answers at {endpoint.url} ({endpoint.source}) is Podman, which is not supported",
            hint="point DOCKER_HOST to a Docker engine, or unset it",
            code="engine_podman",
        )
    return api


def _found_image(row: dict[str, Any]) -> FoundImage:
    tags = tuple(tag for tag in row["RepoTags"] or () if not tag.startswith("<none>"))
    return FoundImage(row["Id"], tags, dict(row["Labels"] or {}), int(row["Size"]))
