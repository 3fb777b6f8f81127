"""An engine without containers: for tests of cvl, and of whatever is built on it.

A step's program is a Python function, which runs in a thread and sees what a container would see:

    def program(container: FakeContainer) -> int:
        request = json.loads(container.stdin)
        container.write(b"working\\n")
        container.host(request["outputs"]["result"]).write_text("made")
        return 0

    engine = FakeEngine(program)
    session = Session(connect=lambda: engine)

What goes wrong is scripted: `engine.fail("create", timed_out())`, `engine.lose()`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from cvl.core.container import (
    ContainerSpec,
    ContainerState,
    EngineFacts,
    FoundContainer,
    FoundImage,
)
from cvl.engine.fake_container import TERMINATED, FakeContainer, FakeRun, Killed, Program
from cvl.engine.protocol import BuildProgress, BuildSpec, Cancelled, OnBuild, OnLog
from cvl.errors import BuildError, CvlError, EngineError

FACTS = EngineFacts(name="fake", version="0", memory=64 * 10**9)
Method = Literal[
    "facts", "image_id", "build", "pull", "create", "start", "state", "stop", "kill", "remove",
    "find", "images", "build_cache_size", "remove_image",
]  # fmt: skip


Builder = Callable[[BuildSpec], None]
"""Called when an image is built; raises BuildError for one that fails."""


@dataclass(frozen=True)
class Call:
    """A call that the engine got; `subject` is what it was about: a name, an id, a tag."""

    method: Method
    subject: str = ""


@dataclass
class Fault:
    """How the next calls of a method fail. after: the work is done and only its answer is lost."""

    error: CvlError
    times: int
    after: bool


def timed_out() -> EngineError:
    """The engine took a call and did not answer."""
    return EngineError("the fake engine does not answer", code="engine_timeout")


def unreachable() -> EngineError:
    """Nobody listens."""
    return EngineError("no fake engine answers", code="engine_unreachable")


def refused(text: str) -> EngineError:
    """The engine said no, with this text."""
    return EngineError(f"the fake engine refused: {text}")


@dataclass
class FakeEngine:
    """Implements cvl.engine.protocol.Engine in memory. `calls` are the calls so far, in order."""

    program: Program
    builder: Builder = lambda spec: None
    given: EngineFacts = FACTS
    calls: list[Call] = field(default_factory=list)
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    _images: dict[str, FoundImage] = field(default_factory=dict)
    _faults: dict[Method, Fault] = field(default_factory=dict)
    _serial: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _away: bool = False

    def fail(self, method: Method, error: CvlError, *, times: int = 1, after: bool = False) -> None:
        """The next calls of `method` raise `error`. A stop is never answered: it is only lost."""
        with self._lock:
            self._faults[method] = Fault(error, times, after)

    def lose(self) -> None:
        """The engine goes away: runs are lost, calls fail. Containers go on, as they do under an
        engine that restarts."""
        with self._lock:
            self._away = True
            for container in self.containers.values():
                container.disconnect()

    def come_back(self) -> None:
        """It answers again; what was lost stays so."""
        self._away = False

    def add_image(self, reference: str, labels: Mapping[str, str] | None = None) -> str:
        """An image that is there already; its id."""
        text = f"{reference} {next(self._serial)}"
        image = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        with self._lock:
            self._untag(reference)
            self._images[image] = FoundImage(image, (_tagged(reference),), dict(labels or {}), 1)
        return image

    def facts(self) -> EngineFacts:
        with self._call("facts"):
            return self.given

    def can_build(self) -> bool:
        return True

    def image_id(self, reference: str) -> str | None:
        with self._call("image_id", reference):
            found = self._image(reference)
            return found.id if found else None

    def build(self, spec: BuildSpec, on_progress: OnBuild, cancelled: Cancelled) -> str:
        with self._call("build", spec.tag):
            on_progress(BuildProgress("#1 [1/1] FROM nothing", 0, 1))
            self.builder(spec)
            if cancelled():
                raise BuildError("the build was ended")
            return self.add_image(spec.tag, spec.labels)

    def pull(self, reference: str, on_progress: OnBuild, cancelled: Cancelled) -> str:
        with self._call("pull", reference):
            on_progress(BuildProgress("Pull complete", 1, 1))
            return self.add_image(reference)

    def create(self, spec: ContainerSpec) -> str:
        with self._call("create", spec.name), self._lock:
            image = self._image(spec.image)
            if image is None:
                raise refused(f"no such image: {spec.image}")
            if any(found.spec.name == spec.name for found in self.containers.values()):
                raise refused(f"the name {spec.name} is in use")
            for mount in spec.mounts:
                if not os.path.lexists(mount.source):
                    raise EngineError(f"there is no {mount.source}", code="engine_remote")
            identity = hashlib.sha256(f"{spec.name} {next(self._serial)}".encode()).hexdigest()
            labels = {**image.labels, **spec.labels}
            self.containers[identity] = FakeContainer(identity, replace(spec, labels=labels))
            return identity

    def start(
        self, container: str, stdin: bytes, on_log: OnLog, on_errors: OnLog | None = None
    ) -> FakeRun:
        with self._call("start", container):
            run = FakeRun(on_log)
            self._container(container).begin(stdin, run, self.program)
            return run

    def state(self, container: str) -> ContainerState:
        with self._call("state", container):
            return self._container(container).state()

    def stop(self, container: str, grace_s: float) -> None:
        with contextlib.suppress(CvlError), self._call("stop", container):
            found = self._container(container)
            found.terminate()
            wait = threading.Thread(target=_kill_later, args=(found, grace_s), daemon=True)
            wait.start()

    def kill(self, container: str) -> None:
        with self._call("kill", container):
            for found in self._named(container):
                found.kill()

    def remove(self, container: str) -> None:
        with self._call("remove", container):
            for found in self._named(container):
                found.kill()
                self.containers.pop(found.id, None)

    def find(self, labels: dict[str, str]) -> list[FoundContainer]:
        with self._call("find"):
            return [
                FoundContainer(found.id, dict(found.spec.labels), found.running)
                for found in list(self.containers.values())
                if _carries(found.spec.labels, labels)
            ]

    def images(self, labels: dict[str, str]) -> list[FoundImage]:
        with self._call("images"):
            return [i for i in list(self._images.values()) if _carries(i.labels, labels)]

    def build_cache_size(self) -> int:
        with self._call("build_cache_size"):
            return 0

    def remove_image(self, reference: str) -> None:
        with self._call("remove_image", reference), self._lock:
            image = self._image(reference)
            if image is None:
                return
            tags = tuple(tag for tag in image.tags if tag != _tagged(reference))
            used = any(self._image(c.spec.image) == image for c in self.containers.values())
            if (used and not tags) or (reference == image.id and len(image.tags) > 1):
                raise EngineError(f"{reference} is in use", code="image_in_use")
            if reference == image.id or not tags:
                del self._images[image.id]
            else:
                self._images[image.id] = replace(image, tags=tags)

    @contextlib.contextmanager
    def _call(self, method: Method, subject: str = "") -> Iterator[None]:
        """Written down first; fails before the work or after it, when that was scripted."""
        with self._lock:
            self.calls.append(Call(method, subject))
            fault = self._faults.get(method)
            if fault is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[method]
        if self._away:
            raise unreachable()
        if fault is not None and not fault.after:
            raise fault.error
        yield
        if fault is not None:
            raise fault.error

    def _named(self, name: str) -> list[FakeContainer]:
        """The container with this name or id, or none."""
        found = list(self.containers.values())
        return [c for c in found if name in (c.id, c.spec.name)]

    def _container(self, name: str) -> FakeContainer:
        for found in self._named(name):
            return found
        raise refused(f"no such container: {name}")

    def _image(self, reference: str) -> FoundImage | None:
        tag = _tagged(reference)
        for image in list(self._images.values()):
            if reference == image.id or tag in image.tags:
                return image
        return None

    def _untag(self, reference: str) -> None:
        """A tag names one image: the one that had it keeps its id alone."""
        old = self._image(reference)
        if old is not None:
            tags = tuple(tag for tag in old.tags if tag != _tagged(reference))
            self._images[old.id] = replace(old, tags=tags)


def _kill_later(container: FakeContainer, grace_s: float) -> None:
    if not container.ended.wait(grace_s):
        container.kill()


def _tagged(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _carries(has: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in has and value in ("", has[key]) for key, value in wanted.items())


__all__ = [
    "TERMINATED",
    "Builder",
    "Call",
    "FakeContainer",
    "FakeEngine",
    "FakeRun",
    "Killed",
    "Program",
    "refused",
    "timed_out",
    "unreachable",
]
