"""Where cvl keeps things: CVL_HOME > XDG. Nothing is created until it is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cvl.errors import StateError
from cvl.store.atomic import write_atomic

PRIVATE = 0o700


@dataclass(frozen=True)
class Dirs:
    """state: the database, runs, locks, trust. cache: results, work, jit, envs. All private to the
    user."""

    state: Path
    cache: Path

    @property
    def runs(self) -> Path:
        return self.state / "runs"

    @property
    def locks(self) -> Path:
        return self.state / "locks"

    @property
    def database(self) -> Path:
        return self.state / "cvl.db"

    @property
    def results(self) -> Path:
        return self.cache / "results"

    @property
    def work(self) -> Path:
        return self.cache / "work"

    @property
    def digests(self) -> Path:
        return self.cache / "digests"

    @property
    def jit(self) -> Path:
        return self.cache / "jit"

    @property
    def envs(self) -> Path:
        return self.cache / "envs"

    @property
    def weight_locks(self) -> Path:
        """Which commits and contents weights have for this user."""
        return self.state / "weights"

    @property
    def url_weights(self) -> Path:
        return self.cache / "weights"

    @property
    def verdicts(self) -> Path:
        """What was found in pickled weights, by their content."""
        return self.cache / "verdicts"

    @property
    def processes(self) -> Path:
        return self.state / "processes"

    @property
    def trusted(self) -> Path:
        return self.state / "trusted"

    def home_id(self) -> str:
        """A random name of this CVL_HOME: what tells its containers from another one's."""
        path = self.state / "id"
        try:
            if not path.exists():
                make_private(self.state)
                write_atomic(path, os.urandom(8).hex().encode(), replace=False)
            return path.read_text()
        except OSError as error:
            raise StateError(
                f"cannot use {path}: {error.strerror}",
                hint="set CVL_HOME to a folder that you can write to",
            ) from error


def find_dirs() -> Dirs:
    """The folders that the environment asks for; StateError when there is no home at all."""
    home = os.environ.get("CVL_HOME")
    if home:
        root = Path(os.path.abspath(home))
        return Dirs(root / "state", root / "cache")
    return Dirs(
        _xdg("XDG_STATE_HOME", ".local/state") / "cvl", _xdg("XDG_CACHE_HOME", ".cache") / "cvl"
    )


def _xdg(variable: str, below_home: str) -> Path:
    value = os.environ.get(variable, "")
    if os.path.isabs(value):
        return Path(value)
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise StateError("there is no home folder", hint="set CVL_HOME to a folder of yours")
    return Path(home) / below_home


def make_private(path: Path) -> Path:
    """Create `path` and its parents, readable by the user alone; those that exist stay as they
    are."""
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=PRIVATE, exist_ok=True)
        path.mkdir(mode=PRIVATE, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"cannot create {path}: {error.strerror}",
            hint="set CVL_HOME to a folder that you can write to",
        ) from error
    return path
