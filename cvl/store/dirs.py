"""Where cvl keeps things: CVL_HOME > XDG. Nothing is created until it is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cvl.core.names import not_utf8
from cvl.disks import full_disk, names_full
from cvl.errors import CvlError, StateError
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
            raise unusable(f"cannot use {path}", path, error) from error


def find_dirs() -> Dirs:
    """The folders that the environment asks for; StateError when there is no home at all."""
    named = _named_home()
    if named is not None:
        return Dirs(named / "state", named / "cache")
    return Dirs(
        _xdg("XDG_STATE_HOME", ".local/state") / "cvl", _xdg("XDG_CACHE_HOME", ".cache") / "cvl"
    )


def _named(variable: str, path: str) -> Path:
    """A folder to be mounted from; StateError when an engine could not be told its name."""
    problem = not_utf8(variable, path)
    if problem:
        raise StateError(problem, hint="set CVL_HOME to a folder with another name")
    return Path(path)


def own_dirs() -> Dirs:
    """`find_dirs` for whoever is going to write: StateError when they are another user's. Root is
    refused below another user's folders as well: what it makes there is in their way."""
    dirs, named = find_dirs(), _named_home()
    for folder in (*((named,) if named else ()), dirs.state, dirs.cache):
        _refuse_foreign(folder)
    return dirs


def _named_home() -> Path | None:
    home = os.environ.get("CVL_HOME")
    return _named("CVL_HOME", os.path.abspath(home)) if home else None


def _refuse_foreign(folder: Path) -> None:
    existing = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
    try:
        owner, me = existing.stat().st_uid, os.geteuid()
    except OSError:
        return  # making it says why not
    closed = existing.is_dir() and not os.access(existing, os.X_OK)
    if not closed and (owner == me or not (existing == folder or me == 0)):
        return
    hint = "set CVL_HOME to a folder of yours"
    if me == 0:
        hint += "; sudo -H takes that of root"
    elif owner == 0:
        hint = f"sudo chown -R {me} {existing} gives it to you; or {hint}"
    whose = "yours, and closed to you" if owner == me else f"another user's (uid {owner})"
    raise StateError(f"{existing} is {whose}", hint=hint, code="not_yours")


def config_folder() -> Path | None:
    """Where settings of this user are looked for; None without a home."""
    try:
        return _xdg("XDG_CONFIG_HOME", ".config") / "cvl"
    except StateError:
        return None


def _xdg(variable: str, below_home: str) -> Path:
    value = os.environ.get(variable, "")
    if os.path.isabs(value):
        return _named(variable, value)
    home = home_folder()
    if home is None:
        hint = "set CVL_HOME to a folder of yours"
        raise StateError("there is no home folder", hint=hint, code="no_home")
    return _named("HOME", str(home)) / below_home


def home_folder() -> Path | None:
    """HOME, else what the system knows of this user. An empty or relative HOME is none: whatever
    is below it would be somewhere else for each command."""
    home = os.path.expanduser("~") if os.environ.get("HOME") != "" else ""
    return Path(home) if os.path.isabs(home) else None


def make_private(path: Path) -> Path:
    """Create `path` and its parents, readable by the user alone; those that exist stay as they
    are. DiskFullError or StateError when that cannot be."""
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=PRIVATE, exist_ok=True)
        path.mkdir(mode=PRIVATE, exist_ok=True)
    except OSError as error:
        raise unusable(f"cannot create {path}", path, error) from error
    return path


def unusable(what: str, path: Path, error: OSError) -> CvlError:
    """The error for a folder or file of ours that the system refused."""
    if names_full(error):
        return full_disk(path, error=error)
    return StateError(
        f"{what}: {_why(error)}", hint="set CVL_HOME to a folder that you can write to"
    )


def _why(error: OSError) -> str:
    """In words; that something exists says little about a file or a broken link in the way."""
    if isinstance(error, FileExistsError) and error.filename:
        return f"{error.filename} is not a folder"
    return error.strerror or str(error)
