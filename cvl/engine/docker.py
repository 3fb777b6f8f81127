"""The docker engine, over its API socket. The command line client is used for BuildKit builds
only."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit
from docker.utils import kwargs_from_env
from docker.utils.socket import frames_iter

from cvl.core.container import (
    ContainerSpec,
    ContainerState,
    EngineFacts,
    FoundContainer,
    FoundImage,
)
from cvl.engine.build import build_image, find_client
from cvl.engine.endpoint import Endpoint, refuse_remote, resolve_endpoint
from cvl.engine.protocol import BuildProgress, BuildSpec, Cancelled, OnBuild, OnLog
from cvl.errors import CvlError, DiskFullError, EngineError, GpuError

CONTROL_TIMEOUT_S = 10
CREATE_TIMEOUT_S = 60
# Between two lines of a pull, which come several times a second while anything arrives.
PULL_TIMEOUT_S = 120
PULLED = ("Pull complete", "Already exists")
IMAGES_TIMEOUT_S = 300


class DockerEngine:
    """Implements cvl.engine.protocol.Engine. Raises EngineError with one of the codes
    engine_unreachable, engine_permission, engine_remote, engine_timeout, engine."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self.endpoint = endpoint or resolve_endpoint()
        refuse_remote(self.endpoint)
        self._client = self._connect(version="auto", timeout=CONTROL_TIMEOUT_S)
        self._version: str = self._client.api_version
        self._facts: EngineFacts | None = None

    def _connect(self, version: str, timeout: Any) -> Any:
        """A client of its own for each long call: one connection pool, one timeout."""
        with _speaking(self.endpoint):
            tls = kwargs_from_env() if self.endpoint.source == "DOCKER_HOST" else {}
            settings: dict[str, Any] = {**tls, "base_url": self.endpoint.url}
            return docker.APIClient(version=version, timeout=timeout, **settings)

    def facts(self) -> EngineFacts:
        if self._facts is None:
            with _speaking(self.endpoint):
                self._facts = _facts(self._client.info())
        return self._facts

    def can_build(self) -> bool:
        try:
            return bool(find_client())
        except EngineError:
            return False

    def image_id(self, reference: str) -> str | None:
        with _speaking(self.endpoint):
            try:
                return str(self._client.inspect_image(reference)["Id"])
            except NotFound:
                return None

    def build(self, spec: BuildSpec, on_progress: OnBuild, cancelled: Cancelled) -> str:
        return build_image(self.endpoint, spec, on_progress, cancelled)

    def pull(self, reference: str, on_progress: OnBuild, cancelled: Cancelled) -> str:
        client = self._connect(self._version, PULL_TIMEOUT_S)
        with _speaking(self.endpoint):
            layers: dict[str, bool] = {}
            for line in client.pull(reference, stream=True, decode=True):
                if cancelled():
                    return ""
                if "error" in line:
                    raise EngineError(
                        f"{reference} cannot be pulled: {line['error']}",
                        hint="check the name in the manifest, and docker login",
                        code="pull_failed",
                    )
                status = str(line.get("status", ""))
                if "id" in line:
                    layers[line["id"]] = status in PULLED
                text = f"{line.get('id', '')} {status}".strip()
                on_progress(BuildProgress(text, sum(layers.values()), len(layers)))
            return str(client.inspect_image(reference)["Id"])

    def create(self, spec: ContainerSpec) -> str:
        client = self._connect(self._version, CREATE_TIMEOUT_S)
        with _speaking(self.endpoint):
            config = client.create_container_config(**_container_config(spec))
            config["HostConfig"] = client.create_host_config(**_host_config(spec))
            created = client.create_container_from_config(config, spec.name)
            return str(created["Id"])

    def start(self, container: str, stdin: bytes, on_log: OnLog) -> DockerRun:
        client = self._connect(self._version, CREATE_TIMEOUT_S)
        with _speaking(self.endpoint):
            attached = client.attach_socket(
                container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            client.start(container)
        run = DockerRun(self._connect(self._version, None), container, attached, on_log)
        run.send(stdin)
        return run

    def state(self, container: str) -> ContainerState:
        with _speaking(self.endpoint):
            state = self._client.inspect_container(container)["State"]
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
            with contextlib.suppress(DockerException, requests.RequestException, CvlError):
                client = self._connect(self._version, grace_s + CONTROL_TIMEOUT_S)
                client.stop(container, timeout=int(grace_s))

        threading.Thread(target=hold, daemon=True, name="cvl-stop").start()

    def kill(self, container: str) -> None:
        with _speaking(self.endpoint), contextlib.suppress(NotFound):
            try:
                self._client.kill(container)
            except APIError as error:
                if error.status_code != requests.codes.conflict:  # 409: not running any more
                    raise

    def remove(self, container: str) -> None:
        with _speaking(self.endpoint), contextlib.suppress(NotFound):
            try:
                self._client.remove_container(container, force=True, v=True)
            except APIError as error:
                if error.status_code != requests.codes.conflict:  # 409: removal is under way
                    raise

    def find(self, labels: dict[str, str]) -> list[FoundContainer]:
        with _speaking(self.endpoint):
            rows = self._client.containers(all=True, filters={"label": _wanted(labels)})
        return [
            FoundContainer(row["Id"], dict(row["Labels"] or {}), row["State"] == "running")
            for row in rows
        ]

    def images(self, labels: dict[str, str]) -> list[FoundImage]:
        client = self._connect(self._version, IMAGES_TIMEOUT_S)
        with _speaking(self.endpoint):
            rows = client.images(filters={"label": _wanted(labels)})
        return [_found_image(row) for row in rows]

    def build_cache_size(self) -> int:
        client = self._connect(self._version, IMAGES_TIMEOUT_S)
        with _speaking(self.endpoint):
            found = client.df().get("BuildCache") or []
        return sum(int(entry.get("Size") or 0) for entry in found if not entry.get("Shared"))

    def remove_image(self, reference: str) -> None:
        client = self._connect(self._version, IMAGES_TIMEOUT_S)
        with _speaking(self.endpoint), contextlib.suppress(NotFound):
            try:
                client.remove_image(reference, force=False, noprune=True)
            except APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise
                raise EngineError(
                    f"{reference} is in use",
                    hint="docker ps -a shows by which container",
                    code="image_in_use",
                ) from error


class DockerRun:
    """Follows one container: its log over the attach stream, its end over the wait call."""

    def __init__(self, client: Any, container: str, attached: Any, on_log: OnLog) -> None:
        self._client = client
        self._container = container
        self._attached = attached
        self._socket = getattr(attached, "_sock", attached)
        self._on_log = on_log
        self._ended = threading.Event()
        self._lost = False
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._follow, daemon=True, name="cvl-follow")
        self._thread.start()

    @property
    def lost(self) -> bool:
        return self._lost

    def send(self, stdin: bytes) -> None:
        """Write the request and close stdin, in a thread: a program that does not read it holds
        this up for as long as it runs, and the caller must be able to end that."""
        hand_over = threading.Thread(
            target=self._send, args=(stdin,), daemon=True, name="cvl-stdin"
        )
        hand_over.start()

    def _send(self, stdin: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(stdin)
            self._socket.shutdown(socket.SHUT_WR)

    def wait(self, timeout_s: float) -> bool:
        return self._ended.wait(timeout_s)

    def _follow(self) -> None:
        try:
            for _, chunk in frames_iter(self._attached, tty=False):  # type: ignore[no-untyped-call]
                self._on_log(chunk)
            self._client.wait(self._container)
        except NotFound:
            pass  # removed by somebody else: the state call will say so
        except (OSError, ValueError, DockerException, requests.RequestException):
            self._lost = True
        finally:
            self._ended.set()
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes a sender that nobody reads from
            with contextlib.suppress(OSError):
                self._attached.close()


def _wanted(labels: dict[str, str]) -> list[str]:
    return [f"{key}={value}" if value else key for key, value in labels.items()]


def _found_image(row: dict[str, Any]) -> FoundImage:
    tags = tuple(tag for tag in row["RepoTags"] or () if not tag.startswith("<none>"))
    return FoundImage(row["Id"], tags, dict(row["Labels"] or {}), int(row["Size"]))


def _container_config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "image": spec.image,
        "command": [],
        "entrypoint": list(spec.command),
        "working_dir": spec.working_dir,
        "user": spec.user,
        "environment": spec.environment,
        "labels": spec.labels,
        "stdin_open": True,
        "stop_signal": "SIGTERM",
        "healthcheck": {"test": ["NONE"]},
    }


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    limits = [
        Ulimit(name="fsize", soft=spec.file_size, hard=spec.file_size),
        Ulimit(name="core", soft=0, hard=0),
    ]
    config: dict[str, Any] = {
        "mounts": [
            Mount(target=m.target, source=m.source, type="bind", read_only=m.read_only)
            for m in spec.mounts
        ],
        "tmpfs": spec.tmpfs,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": list(spec.security),
        "group_add": list(spec.groups),
        "network_mode": spec.network,
        "mem_limit": spec.memory,
        "memswap_limit": spec.memory,
        "shm_size": spec.shm,
        "pids_limit": spec.pids,
        "ulimits": limits,
        "init": True,
        "log_config": LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
    }
    if spec.userns:
        config["userns_mode"] = spec.userns
    if spec.gpus:
        config["device_requests"] = [
            DeviceRequest(device_ids=list(spec.gpus), capabilities=[["gpu"]])
        ]
    return config


def _facts(info: dict[str, Any]) -> EngineFacts:
    options = " ".join(info.get("SecurityOptions") or [])
    root = str(info.get("DockerRootDir") or "")
    return EngineFacts(
        name=str(info.get("Name") or ""),
        version=str(info.get("ServerVersion") or ""),
        memory=int(info.get("MemTotal") or 0),
        rootless="name=rootless" in options,
        userns_remap="name=userns" in options,
        selinux="name=selinux" in options,
        snap=root.startswith("/var/snap/"),
        nvidia="nvidia" in (info.get("Runtimes") or {}),
        root_dir=root,
        cgroup_version=str(info.get("CgroupVersion") or ""),
        security=tuple(info.get("SecurityOptions") or ()),
    )


@contextlib.contextmanager
def _speaking(endpoint: Endpoint) -> Iterator[None]:
    """Turn what the docker package raises into one of our errors, with a hint."""
    try:
        yield
    except APIError as error:
        raise _refused(error, endpoint) from error
    except requests.exceptions.Timeout as error:
        raise EngineError(
            f"the Docker engine at {endpoint.url} does not answer",
            hint="restart it (sudo systemctl restart docker), then run: cvl doctor",
            code="engine_timeout",
        ) from error
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise _unreachable(error, endpoint) from error


def _refused(error: APIError, endpoint: Endpoint) -> CvlError:
    text = str(error.explanation or error).strip()
    low = text.lower()
    if "no space left on device" in low:
        return DiskFullError(
            "the disk of the Docker engine is full",
            hint="cvl gc removes what cvl no longer needs; docker system df shows the rest",
        )
    if "could not select device driver" in low or "nvidia-container" in low:
        return GpuError(
            f"the GPU could not be given to the container: {text}",
            hint="install nvidia-container-toolkit, then run: sudo nvidia-ctk runtime configure "
            "--runtime=docker",
            code="gpu_not_available",
        )
    if "bind source path does not exist" in low:
        return EngineError(
            f"the Docker engine at {endpoint.url} does not see this machine's files",
            hint="it runs on another machine or in a sandbox (snap); use an engine of this machine",
            code="engine_remote",
        )
    return EngineError(f"the Docker engine refused: {text}", hint="run: cvl doctor")


def _unreachable(error: Exception, endpoint: Endpoint) -> EngineError:
    text = str(error)
    if "Permission denied" in text or isinstance(error.__context__, PermissionError):
        user = os.environ.get("USER", "$USER")
        return EngineError(
            f"no permission to use the Docker engine at {endpoint.url}",
            hint=f"sudo usermod -aG docker {user}, then log in again",
            code="engine_permission",
        )
    return EngineError(
        f"no Docker engine answers at {endpoint.url} ({endpoint.source})",
        hint="start Docker (sudo systemctl start docker), then run: cvl doctor",
        code="engine_unreachable",
    )
