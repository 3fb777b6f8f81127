"""Which Docker engine: DOCKER_HOST, then DOCKER_CONTEXT or the current context, then the
default."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cvl.errors import EngineError

DEFAULT = "unix:///var/run/docker.sock"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Endpoint:
    """Address of an engine and where it was read."""

    url: str
    source: str

    @property
    def remote(self) -> bool:
        """On another machine as far as the address tells: bind mounts cannot work there."""
        parts = urlsplit(self.url)
        if parts.scheme in ("unix", "npipe", "http+unix"):
            return False
        return parts.scheme == "ssh" or parts.hostname not in LOOPBACK


def resolve_endpoint() -> Endpoint:
    """The engine that a docker command in this environment would talk to."""
    host = os.environ.get("DOCKER_HOST")
    if host:
        return Endpoint(host if "://" in host else f"tcp://{host}", "DOCKER_HOST")
    name = os.environ.get("DOCKER_CONTEXT") or _configured_context()
    if not name or name == "default":
        return Endpoint(DEFAULT, "default")
    host = _context_host(name)
    if not host:
        raise EngineError(
            f"the docker context {name!r} does not exist",
            hint="docker context ls lists them; docker context use default goes back",
            code="unknown_context",
        )
    return Endpoint(host, f"context {name}")


def _context_host(name: str) -> str:
    """Address of a context, as the docker client stores it. The docker package finds contexts only
    where there is a config.json as well, so the file is read here."""
    place = hashlib.sha256(name.encode()).hexdigest()
    meta = _config_folder() / "contexts" / "meta" / place / "meta.json"
    try:
        return str(json.loads(meta.read_text())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _config_folder() -> Path:
    folder = os.environ.get("DOCKER_CONFIG")
    return Path(folder) if folder else Path(os.path.expanduser("~")) / ".docker"


def _configured_context() -> str:
    """`currentContext` of the docker client's config file."""
    try:
        name = json.loads((_config_folder() / "config.json").read_text()).get("currentContext", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return name if isinstance(name, str) else ""


def refuse_remote(endpoint: Endpoint) -> None:
    """Raise before anything is built when the engine is on another machine."""
    try:
        remote = endpoint.remote
    except ValueError as error:
        raise EngineError(
            f"{endpoint.url!r} ({endpoint.source}) is no address of an engine: {error}",
            hint="unset DOCKER_HOST or run: docker context use default",
            code="engine_address",
        ) from None
    if remote:
        raise EngineError(
            f"the Docker engine at {endpoint.url} ({endpoint.source}) is on another machine, "
            "and files of this one cannot be mounted there",
            hint="unset DOCKER_HOST or run: docker context use default",
            code="engine_remote",
        )
