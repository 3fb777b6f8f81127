"""A container as a value before it is one, and what the engine reports of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Mount:
    """A bind mount; `source` is an absolute host path."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class ContainerSpec:
    """Everything that the engine is asked for; the hardening is in here, not in the adapter."""

    name: str
    image: str
    command: tuple[str, ...]
    working_dir: str
    user: str
    groups: tuple[str, ...]
    environment: dict[str, str]
    labels: dict[str, str]
    mounts: tuple[Mount, ...]
    tmpfs: dict[str, str]
    network: str
    memory: int
    shm: int
    pids: int
    file_size: int
    gpus: tuple[str, ...] = ()
    security: tuple[str, ...] = ("no-new-privileges",)
    userns: str = ""
    keep_log: bool = True
    """May the engine keep a copy of what it prints?"""


@dataclass(frozen=True)
class ContainerState:
    """What `inspect` says."""

    running: bool
    exit_code: int
    oom_killed: bool
    error: str
    started: bool


@dataclass(frozen=True)
class FoundContainer:
    """A container of ours that the engine still has."""

    id: str
    labels: dict[str, str]
    running: bool


@dataclass(frozen=True)
class FoundImage:
    """An image that the engine has; `size` in bytes, with the layers that it shares."""

    id: str
    tags: tuple[str, ...]
    labels: dict[str, str]
    size: int


@dataclass(frozen=True)
class EngineFacts:
    """What was read from the engine, once per command."""

    name: str
    version: str
    memory: int
    rootless: bool = False
    userns_remap: bool = False
    selinux: bool = False
    nvidia: bool = False
    root_dir: str = ""
    cgroup_version: str = ""
    kind: Literal["docker", "venv"] = "docker"
    security: tuple[str, ...] = field(default_factory=tuple)

    @property
    def on_host(self) -> bool:
        """Steps are processes of this machine: they see its paths, and everything else of it."""
        return self.kind == "venv"
