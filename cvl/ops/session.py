"""What one command holds while it works: folders, records, engine, identity, and the way to
stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from cvl.core.owner import Owner
from cvl.engine.protocol import Engine
from cvl.errors import EngineError
from cvl.machine.process import this_owner, total_memory
from cvl.ops.cancel import Cancel
from cvl.ops.report import Report, Silent
from cvl.store.digests import Digests
from cvl.store.dirs import Dirs, make_private, own_dirs
from cvl.store.locks import FileLock
from cvl.store.pins import Pins
from cvl.store.records import Records
from cvl.store.results import Results
from cvl.store.verdicts import Verdicts


@dataclass(frozen=True)
class Ghost:
    """A container that could not be removed: it may run on in an engine that comes back."""

    engine: Engine
    container: str


def venv_engine(dirs: Dirs, warn: Callable[[str], None]) -> Engine:
    """The engine of virtual environments on this machine."""
    from cvl.engine.venv import VenvEngine

    return VenvEngine(dirs.envs, dirs.processes, total_memory(), warn)


@dataclass
class Session:
    """Lazily opened, so that a command pays only for what it uses."""

    cancel: Cancel = field(default_factory=Cancel)
    report: Report = field(default_factory=Silent)
    connect: Callable[[], Engine] | None = None
    """To another engine than docker."""
    patience_s: float = 0.0
    """How long a run waits for a docker engine that goes away; others say at once that it did."""
    base_image: str = ""
    explain: bool = False
    """Say field by field why a step runs."""
    build_network: str = ""
    ca_bundle: str = ""
    """PEM file of certificate authorities for builds and for runs with a network."""
    wanted_engine: str = "auto"
    """docker, venv, or auto: docker where it can be."""
    engine_named: bool = False
    """It was named on this very command line, not by a file that may have come with a folder."""
    offline: bool = False
    """Use no network for weights."""
    trust: bool = False
    """The user trusts examples that were found where they work."""
    base_problems: dict[str, EngineError | None] = field(default_factory=dict)
    """Base image -> why it cannot be had; None when it can."""
    ghosts: list[Ghost] = field(default_factory=list)
    """What this very process left in an engine that went away."""
    _told: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    parent: Session | None = None
    """The session that this one is the other engine's view of."""

    def on_host(self) -> Session:
        """The same session with the venv engine in the place of docker."""
        return self if self.parent else self._host

    @property
    def is_host(self) -> bool:
        return self.parent is not None

    @cached_property
    def _host(self) -> Session:
        def connect() -> Engine:
            return venv_engine(self.dirs, lambda text: self.report.warning(text))

        return replace(self, connect=connect, parent=self)

    @cached_property
    def engine_problem(self) -> EngineError | None:
        """Why the engine does not answer; None when it does. It is asked once."""
        try:
            self.engine.facts()
        except EngineError as error:
            return error
        return None

    def tell_once(self, topic: str, text: str) -> None:
        """One line about a topic in the life of a session."""
        with self._lock:
            if topic in self._told:
                return
            self._told.add(topic)
        self.report.message(text)

    @cached_property
    def dirs(self) -> Dirs:
        return own_dirs()

    @cached_property
    def records(self) -> Records:
        if self.parent:
            return self.parent.records
        return Records(self.dirs.database)

    @cached_property
    def results(self) -> Results:
        if self.parent:
            return self.parent.results
        return Results(self.dirs.results, lambda text: self.report.warning(text))

    @cached_property
    def digests(self) -> Digests:
        return Digests(self.dirs.digests)

    @cached_property
    def pins(self) -> Pins:
        return Pins(self.dirs.weight_locks)

    @cached_property
    def verdicts(self) -> Verdicts:
        return Verdicts(self.dirs.verdicts)

    @cached_property
    def engine(self) -> Engine:
        """Connected to late: loading what speaks to docker is slow."""
        if self.connect is not None:
            return self.connect()
        from cvl.engine.docker import DockerEngine
        from cvl.engine.pulse import Caller

        def tell(text: str) -> None:
            self.report.warning(text)

        return DockerEngine(caller=Caller(self.cancel.check, tell, self.patience_s))

    @cached_property
    def owner(self) -> Owner:
        return this_owner(self.dirs.home_id())

    def lock_path(self, kind: str, name: str) -> Path:
        """Lock file `name` of a kind: step, build, run."""
        return make_private(self.dirs.locks / kind) / f"{name}.lock"

    def run_lock(self, run: str) -> FileLock:
        """Held for as long as a run lives; what tells a reaper that its owner is gone."""
        return FileLock(self.lock_path("run", run))


def inside_folder() -> Path:
    """The cvl_inside package that is mounted into every container."""
    import cvl

    return Path(os.path.abspath(cvl.__file__)).parent / "inside" / "cvl_inside"
