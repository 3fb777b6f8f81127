"""What the engine's API is told of a container, and what it tells of itself, as its JSON."""

from __future__ import annotations

from typing import Any

from cvl.core.container import ContainerSpec, EngineFacts

LOG = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}
NO_LOG = {"Type": "none"}
"""What it prints comes over the attached stream alone."""


def container_config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "Image": spec.image,
        "Cmd": [],
        "Entrypoint": list(spec.command),
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": spec.labels,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},
    }


def host_config(spec: ContainerSpec) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Mounts": [
            {"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": m.read_only}
            for m in spec.mounts
        ],
        "Tmpfs": spec.tmpfs,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": list(spec.security),
        "GroupAdd": list(spec.groups),
        "NetworkMode": spec.network,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        "ShmSize": spec.shm,
        "PidsLimit": spec.pids,
        "Ulimits": [
            {"Name": "fsize", "Soft": spec.file_size, "Hard": spec.file_size},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Init": True,
        "LogConfig": LOG if spec.keep_log else NO_LOG,
    }
    if spec.userns:
        config["UsernsMode"] = spec.userns
    if spec.gpus:
        gpus = {"DeviceIDs": list(spec.gpus), "Capabilities": [["gpu"]]}
        config["DeviceRequests"] = [gpus]
    return config


def engine_facts(info: dict[str, Any]) -> EngineFacts:
    options = " ".join(info.get("SecurityOptions") or [])
    root = str(info.get("DockerRootDir") or "")
    return EngineFacts(
        name=str(info.get("Name") or ""),
        version=str(info.get("ServerVersion") or ""),
        memory=int(info.get("MemTotal") or 0),
        rootless="name=rootless" in options,
        userns_remap="name=userns" in options,
        selinux="name=selinux" in options,
        nvidia="nvidia" in (info.get("Runtimes") or {}),
        root_dir=root,
        cgroup_version=str(info.get("CgroupVersion") or ""),
        security=tuple(info.get("SecurityOptions") or ()),
    )
