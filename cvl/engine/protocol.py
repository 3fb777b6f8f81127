"""The narrow port to whatever runs containers. Everything above it works with the fake as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cvl.core.container import (
    ContainerSpec,
    ContainerState,
    EngineFacts,
    FoundContainer,
    FoundImage,
)

OnLog = Callable[[bytes], None]
"""Receives raw bytes of the container's stdout and stderr, in order."""
OnBuild = Callable[["BuildProgress"], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class BuildSpec:
    """An image to build from a ready context folder; its id is written to `id_file` as well."""

    context_dir: str
    id_file: str
    tag: str
    labels: dict[str, str]
    args: dict[str, str] = field(default_factory=dict)
    network: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    """Name -> file that RUN lines may mount; never part of the image."""
    inherited: tuple[str, ...] = ()
    """Build arguments with the value that they have in the environment: it may be secret, so it is
    no part of a command line."""
    withheld: tuple[str, ...] = ()
    """Variables of ours that whatever builds must not have."""


@dataclass(frozen=True)
class BuildProgress:
    """One line of a build: what runs, and how many of the instructions are done."""

    text: str
    done: int
    total: int


class Run(Protocol):
    """A started container that is being followed."""

    def wait(self, timeout_s: float) -> bool:
        """True as soon as the container has ended and its log is complete; False after
        timeout_s."""

    @property
    def lost(self) -> bool:
        """The engine went away before the container was seen to end, and did not come back in time
        with it still running."""

    @property
    def silent(self) -> bool:
        """The engine does not answer at this moment: nothing asked of it now will be done soon."""


class Engine(Protocol):
    """Every call ends: each has a timeout, and raises EngineError when the engine does not
    answer."""

    def facts(self) -> EngineFacts: ...

    def can_build(self) -> bool:
        """Is there what builds? Nothing is asked of the engine itself."""

    def image_id(self, reference: str) -> str | None:
        """Id (sha256:..., or venv:... of an environment) of a local image, or None."""

    def build(self, spec: BuildSpec, on_progress: OnBuild, cancelled: Cancelled) -> str:
        """Build, tag and return the image's id."""

    def pull(self, reference: str, on_progress: OnBuild, cancelled: Cancelled) -> str:
        """Fetch an image from its registry and return its id. Ends early when `cancelled` says so;
        the caller looks at that, not at the id."""

    def create(self, spec: ContainerSpec) -> str:
        """Create a container and return its id; nothing runs yet."""

    def start(
        self, container: str, stdin: bytes, on_log: OnLog, on_errors: OnLog | None = None
    ) -> Run:
        """Start, hand over stdin and close it, follow the log. on_errors: receives what comes over
        stderr, where the engine can tell; `on_log` does otherwise."""

    def state(self, container: str) -> ContainerState: ...

    def stop(self, container: str, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after grace_s. Returns at once; the Run tells when it is over."""

    def kill(self, container: str) -> None: ...

    def remove(self, container: str) -> None:
        """Force-remove with anonymous volumes; no error when it is gone already."""

    def find(self, labels: dict[str, str]) -> list[FoundContainer]:
        """Containers, running or not, that carry all of these labels."""

    def images(self, labels: dict[str, str]) -> list[FoundImage]:
        """Local images that carry all of these labels; an empty value asks for the label alone."""

    def build_cache_size(self) -> int:
        """Bytes of the builder's cache that no image shares."""

    def remove_image(self, reference: str) -> None:
        """Remove a tag, or an image without tags by its id; never by force, so that one in use
        stays (EngineError, code image_in_use). No error when it is gone already."""


@runtime_checkable
class Enterable(Protocol):
    """An engine whose containers can be entered by a person."""

    def enter(
        self,
        container: str,
        command: tuple[str, ...],
        *,
        terminal: bool,
        cancelled: Cancelled,
        output: Callable[[bytes], None] | None,
    ) -> int:
        """Run `command` beside what runs in `container`, with its environment, user and rights, and
        return its exit code. terminal: on the caller's own, else without stdin. output: gets what
        it printed (the last MiB), or None for it to go where ours goes."""
