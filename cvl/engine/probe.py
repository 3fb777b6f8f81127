"""What the docker engine and its clients say of themselves, for `cvl doctor`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from cvl.core.doctor.facts import ClientFact, EngineProbe, ImageFact, Problem
from cvl.core.owner import CONTEXT, EXAMPLE
from cvl.engine.api import Api
from cvl.engine.build import candidates, probe
from cvl.engine.docker import connect
from cvl.engine.endpoint import Endpoint, resolve_endpoint
from cvl.engine.troubles import speaking
from cvl.errors import CvlError

ANY_VERSION = (1, 999)
"""Newer engines tell more of themselves (CDI devices) to those who ask in a newer version."""
MAX_IMAGES = 50
NEAR_HOME = (
    ".docker/run/docker.sock", ".docker/desktop/docker.sock", ".colima/default/docker.sock",
    ".orbstack/run/docker.sock", ".rd/docker.sock",
)  # fmt: skip


def problem_of(error: CvlError) -> Problem:
    """An error as a fact."""
    return Problem(error.code, error.message, error.hint)


def probe_engine() -> tuple[EngineProbe, tuple[ImageFact, ...]]:
    """The engine that a run would use, and what its images of cvl's ask of the driver."""
    endpoint = Endpoint("", "")
    try:
        endpoint = resolve_endpoint()
        api = connect(endpoint, ANY_VERSION)
        with speaking(endpoint):
            info = api.call("GET", "/info")
            return _probe(endpoint, info), _images(api)
    except CvlError as error:
        elsewhere = other_sockets(endpoint.url)
        return EngineProbe(endpoint.url, endpoint.source, problem_of(error), elsewhere), ()


def _probe(endpoint: Endpoint, info: dict[str, Any]) -> EngineProbe:
    options = " ".join(info.get("SecurityOptions") or [])
    devices = info.get("DiscoveredDevices") or []
    return EngineProbe(
        url=endpoint.url,
        source=endpoint.source,
        problem=None,
        version=str(info.get("ServerVersion") or ""),
        system=str(info.get("OperatingSystem") or ""),
        memory=int(info.get("MemTotal") or 0),
        root_dir=str(info.get("DockerRootDir") or ""),
        storage=str(info.get("Driver") or ""),
        cgroup_version=str(info.get("CgroupVersion") or ""),
        cgroup_driver=str(info.get("CgroupDriver") or ""),
        memory_limit=bool(info.get("MemoryLimit")),
        rootless="name=rootless" in options,
        userns_remap="name=userns" in options,
        selinux="name=selinux" in options,
        runtimes=tuple(sorted(info.get("Runtimes") or {})),
        runc=_runc(info),
        cdi=tuple(str(device.get("ID") or "") for device in devices),
        warnings=tuple(str(warning) for warning in info.get("Warnings") or ()),
    )


def _runc(info: dict[str, Any]) -> str:
    """Engines tell runc's commit, Debian's its version; a commit is no version."""
    commit = str((info.get("RuncCommit") or {}).get("ID") or "").removeprefix("v")
    version = commit.split("-g")[0]
    return version if version[:1].isdigit() and "." in version else ""


def _images(api: Api) -> tuple[ImageFact, ...]:
    rows = api.call("GET", "/images/json", {"filters": {"label": [CONTEXT]}})
    found = [_image(api, row) for row in rows[:MAX_IMAGES]]
    return tuple(dict.fromkeys(found))


def _image(api: Api, row: dict[str, Any]) -> ImageFact:
    config = api.call("GET", f"/images/{row['Id']}/json").get("Config") or {}
    pairs = [line.partition("=") for line in config.get("Env") or ()]
    values = {name: value for name, _, value in pairs}
    return ImageFact(
        name=str((row.get("Labels") or {}).get(EXAMPLE) or row["Id"][7:19]),
        requires=values.get("NVIDIA_REQUIRE_CUDA", ""),
        cuda=values.get("CUDA_VERSION", ""),
        waived=values.get("NVIDIA_DISABLE_REQUIRE", "").lower() in ("1", "true"),
    )


def other_sockets(url: str) -> tuple[str, ...]:
    """Sockets of engines where rootless ones and desktop programs put theirs."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    home = Path(os.path.expanduser("~"))
    places = [Path("/var/run/docker.sock"), Path(runtime) / "docker.sock"]
    places += [home / place for place in NEAR_HOME]
    return tuple(str(p) for p in places if f"unix://{p}" != url and _is_socket(p))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode) and os.access(path, os.W_OK)
    except OSError:
        return False


def probe_clients() -> tuple[ClientFact, ...]:
    """Every docker client of this machine, and how it can build."""
    return tuple(_client(path) for path in candidates())


def _client(path: str) -> ClientFact:
    client = probe(path)
    builds = "" if client is None else "buildx" if client.buildx else "built-in"
    return ClientFact(path, os.path.realpath(path), builds)
