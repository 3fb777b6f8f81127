"""Settings: flag > environment CVL_* > project cvl.toml > user's > system's > default."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cvl.core.names import did_you_mean
from cvl.errors import UserError
from cvl.store.dirs import config_folder

FILE = "cvl.toml"
ENGINES = ("auto", "docker", "venv")


@dataclass(frozen=True)
class Config:
    """Every setting with its default. A key of cvl.toml, and CVL_<KEY> in the environment."""

    examples: tuple[str, ...] = ()
    """Folders with examples; relative ones count from the file that names them."""
    found_examples: tuple[str, ...] = field(default=(), init=True, metadata={"key": False})
    """Those that the project's own cvl.toml names: it may have come with the folder."""
    base_image: str = ""
    """Base image of every build, instead of the Dockerfile's default."""
    build_network: str = ""
    """Network of builds: default, host or none."""
    ca_bundle: str = ""
    """PEM file of certificate authorities for builds and runs with a network; a relative path in a
    cvl.toml counts from that file."""
    offline: bool = False
    """Default of --offline; HF_HUB_OFFLINE sets it too."""
    commercial: bool = False
    """Default of --commercial."""
    gpus: str = ""
    """Default of --gpus."""
    engine: str = "auto"
    """Default of --engine: auto, docker or venv."""
    progress: str = "auto"
    """Default of --progress."""
    results_gb: float = 50.0
    """What `cvl gc` trims the results to."""
    superseded_gb: float = 20.0
    """What `cvl gc` leaves of images and environments of examples that have changed since."""
    engine_wait_s: float = 45.0
    """How long a run waits for a Docker engine that went away under it. What is left to do then is
    done within a minute of the event."""


def load_config() -> Config:
    """The settings of this process; UserError for a wrong key or type, with the file."""
    config = Config()
    project, *others = _files()
    for path in reversed(others):
        if _is_trusted(path):
            config = _merged(config, _read(path), path)
    if _is_trusted(project):
        merged = _merged(replace(config, examples=()), _read(project), project)
        named = merged.examples
        config = replace(merged, examples=() if named else config.examples, found_examples=named)
    return _engine_checked(_from_environment(config))


def _engine_checked(config: Config) -> Config:
    if config.engine not in ENGINES:
        hint = did_you_mean(config.engine, ENGINES)
        raise UserError(f"there is no engine {config.engine!r}", hint=hint, code="bad_config")
    return config


def _files() -> list[Path]:
    """Most specific first: the nearest cvl.toml upwards, the user's, the system's."""
    here = Path.cwd()
    project = [folder / FILE for folder in (here, *here.parents)]
    own = config_folder()
    nearest = next((path for path in project if _is_trusted(path)), project[0])
    return [nearest, *([own / FILE] if own else []), Path("/etc/cvl") / FILE]


def _is_trusted(path: Path) -> bool:
    """A file of ours or of root's: a /tmp/cvl.toml of somebody else must not choose our images."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.getuid())


def _read(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}", code="bad_config") from None


def _merged(config: Config, data: dict[str, Any], path: Path) -> Config:
    known = {f.name: getattr(config, f.name) for f in fields(Config) if f.metadata.get("key", True)}
    for key, value in data.items():
        if key not in known:
            raise UserError(
                f"{path}: unknown key {key!r}", hint=did_you_mean(key, known), code="bad_config"
            )
        if key == "examples" and isinstance(value, list):
            value = tuple(str(path.parent / str(folder)) for folder in value)
        if key == "ca_bundle" and isinstance(value, str):
            value = str(path.parent / os.path.expanduser(value))
        if type(value) is int and isinstance(known[key], float):
            value = float(value)
        if not isinstance(value, type(known[key])):
            wanted = type(known[key]).__name__
            raise UserError(f"{path}: {key} is not of type {wanted}", code="bad_config")
        config = replace(config, **{key: value})
    return config


def _is_true(text: str) -> bool:
    """As huggingface_hub reads its own variables."""
    return text.upper() in ("1", "ON", "YES", "TRUE")


def _yes_or_no(name: str) -> bool:
    """Of a variable that keeps something from happening: a slip must not let it happen."""
    text = os.environ[name]
    if not _is_true(text) and text.upper() not in ("0", "OFF", "NO", "FALSE"):
        raise UserError(f"{name} is {text!r}", hint=f"{name}=1, or 0", code="bad_config")
    return _is_true(text)


def _from_environment(config: Config) -> Config:
    changes: dict[str, Any] = {}
    for key in ("base_image", "build_network", "ca_bundle", "gpus", "engine", "progress"):
        value = os.environ.get(f"CVL_{key.upper()}")
        if value:
            changes[key] = value
    if any(_is_true(os.environ.get(name, "")) for name in ("CVL_OFFLINE", "HF_HUB_OFFLINE")):
        changes["offline"] = True
    if os.environ.get("CVL_COMMERCIAL"):
        changes["commercial"] = _yes_or_no("CVL_COMMERCIAL")
    for key in ("results_gb", "superseded_gb", "engine_wait_s"):
        name = f"CVL_{key.upper()}"
        limit = os.environ.get(name)
        if limit:
            try:
                changes[key] = float(limit)
            except ValueError:
                raise UserError(f"{name} is {limit!r}, not a number", code="bad_config") from None
    return replace(config, **changes)
