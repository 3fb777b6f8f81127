"""Which Docker engine: DOCKER_HOST, then DOCKER_CONTEXT or the current context, then the
default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
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
    from docker.context import ContextAPI  # type: ignore[import-untyped,unused-ignore]

    context: Any = ContextAPI.get_context(name)
    if context is None or not context.Host:
        raise EngineError(
            f"the docker context {name!r} does not exist",
            hint="docker context ls lists them; docker context use default goes back",
            code="unknown_context",
        )
    return Endpoint(str(context.Host), f"context {name}")


def _configured_context() -> str:
    """`currentContext` of docker's config file, read without the docker package: most have none."""
    import json
    from pathlib import Path

    folder = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    try:
        text = (Path(folder) / "config.json").read_text()
        name = json.loads(text).get("currentContext", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return name if isinstance(name, str) else ""


def refuse_remote(endpoint: Endpoint) -> None:
    """Raise before anything is built when the engine is on another machine."""
    if endpoint.remote:
        raise EngineError(
            f"the Docker engine at {endpoint.url} ({endpoint.source}) is on another machine, "
            "and files of this one cannot be mounted there",
            hint="unset DOCKER_HOST or run: docker context use default",
            code="engine_remote",
        )
