"""The container engine: does it answer, what kind is it, can images be built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from cvl.core.doctor.facts import EngineProbe, MachineFacts, Problem
from cvl.core.doctor.finding import Finding

GB = 10**9
TESTED, LEAST = (20, 10), (19, 3)
FIXED_RUNC = (1, 1, 12)
SLOW_STORAGE = {"vfs": "copies every layer", "devicemapper": "is gone from newer engines"}
INSTALL = "https://docs.docker.com/engine/install"


def about_engine(facts: MachineFacts) -> Iterator[Finding]:
    """The engine, its kind, and the clients that build for it."""
    if facts.system.wsl == 1:
        text = "this is WSL 1, which cannot run containers"
        commands = ("wsl.exe --set-version <distribution> 2",)
        yield Finding("engine", "error", "wsl1", text, "from Windows:", commands)
    engine = facts.engine
    if engine.problem is not None:
        yield _bearable(facts, _unusable(facts, engine.problem))
    else:
        yield from _usable(facts, engine)
    yield from (_bearable(facts, finding) for finding in _clients(facts))


def _bearable(facts: MachineFacts, finding: Finding) -> Finding:
    """Where no engine answers, and the venv engine may take its place, no error is in the way of
    every example."""
    replaced = facts.venv_engine and facts.engine_wanted != "docker"
    if finding.severity != "error" or facts.engine.problem is None or not replaced:
        return finding
    text = f"{finding.what}; only examples that run in virtual environments can run here"
    return replace(finding, severity="warning", what=text)


def _unusable(facts: MachineFacts, problem: Problem) -> Finding:
    code = problem.code
    if code == "engine_unreachable":
        return _unreachable(facts, problem)
    if code == "engine_permission":
        return _forbidden(facts, problem)
    if code == "engine_timeout":
        remedy = "it is frozen or overloaded: restart it"
        commands = ("sudo systemctl restart docker",)
        return Finding("engine", "error", code, problem.message, remedy, commands)
    return Finding("engine", "error", code, problem.message, problem.hint)


def _unreachable(facts: MachineFacts, problem: Problem) -> Finding:
    """Nothing installed, another socket, or installed and not started."""
    engine = facts.engine
    if engine.other_sockets:
        remedy = "another engine seems to listen; if it is the one you mean:"
        commands = (f"export DOCKER_HOST=unix://{engine.other_sockets[0]}",)
        return Finding("engine", "error", "engine_elsewhere", problem.message, remedy, commands)
    if facts.clients:
        how = {"Darwin": ("open -a Docker",)}.get(facts.system.os, ("sudo systemctl start docker",))
        remedy = "start it" + (" (or Docker Desktop on Windows)" if facts.system.wsl else "")
        return Finding("engine", "error", problem.code, problem.message, remedy, how)
    text = "Docker is not installed: no engine answers and there is no docker client"
    remedy = f"install it: {INSTALL}"
    if facts.system.os == "Darwin":
        remedy = "install Docker Desktop, OrbStack or colima"
    elif facts.system.wsl:
        remedy = "install Docker Desktop on Windows and turn its WSL integration on, or " + INSTALL
    return Finding("engine", "error", "docker_missing", text, remedy)


def _forbidden(facts: MachineFacts, problem: Problem) -> Finding:
    group = facts.system.docker_group
    commands: tuple[str, ...] = ()
    if group == "stale":
        remedy = "you were put into the group docker after you logged in: log in again, or"
        commands = ("newgrp docker",)
    elif group == "out":
        remedy = "join its group and log in again (its members can become root):"
        commands = ("sudo usermod -aG docker $USER",)
    else:
        remedy = problem.hint
    return Finding("engine", "error", problem.code, problem.message, remedy, commands)


def _usable(facts: MachineFacts, engine: EngineProbe) -> Iterator[Finding]:
    memory = f", {engine.memory / GB:.0f} GB of memory" if engine.memory else ""
    desktop = " (Docker Desktop)" if "Docker Desktop" in engine.system else ""
    text = f"Docker {engine.version}{desktop} at {engine.url} ({engine.source}){memory}"
    yield _age(engine, text)
    yield from _snap(facts, engine)
    yield from _kinds(facts, engine)
    yield from _limits(engine)
    yield from _runc(engine)
    if engine.storage in SLOW_STORAGE:
        text = f"the storage driver {engine.storage} {SLOW_STORAGE[engine.storage]}"
        remedy = "use overlay2 (storage-driver in /etc/docker/daemon.json)"
        yield Finding("engine", "warning", "storage_slow", text, remedy)


def numbers(version: str) -> tuple[int, ...]:
    """`20.10.24+dfsg1` as (20, 10, 24); () for what has none."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def _age(engine: EngineProbe, text: str) -> Finding:
    version = numbers(engine.version)
    remedy = f"update it: {INSTALL}"
    if version and version[:2] < LEAST:
        text += "; too old to give a GPU to a container"
        return Finding("engine", "error", "engine_old", text, remedy)
    if version and version[:2] < TESTED:
        text += "; cvl is tested with 20.10 and newer"
        return Finding("engine", "warning", "engine_old", text, remedy)
    return Finding("engine", "ok", "engine", text)


def is_snap(facts: MachineFacts) -> bool:
    """Docker from a snap: confined to a part of the files."""
    from_snap = any(client.real.startswith("/snap/") for client in facts.clients[:1])
    return facts.engine.root_dir.startswith("/var/snap/") or (
        from_snap and facts.engine.problem is None and not facts.engine.root_dir
    )


def _snap(facts: MachineFacts, engine: EngineProbe) -> Iterator[Finding]:
    if not is_snap(facts):
        return
    text = "Docker is a snap: it sees your home folder without its hidden folders, and often no GPU"
    remedy = f"replace it by {INSTALL}"
    commands = ("sudo snap remove docker",)
    yield Finding("engine", "warning", "snap", text, remedy, commands)
    home = facts.system.home.rstrip("/")
    hidden = [f.path for f in facts.folders if not _snap_sees(home, f.path)]
    if hidden:
        text = f"it cannot see {' and '.join(hidden)}"
        remedy = "until then, use a folder that it can see"
        commands = (f"export CVL_HOME={home}/cvl",)
        yield Finding("engine", "error", "snap_blind", text, remedy, commands)


def _snap_sees(home: str, path: str) -> bool:
    below = path.removeprefix(f"{home}/")
    return below != path and not below.startswith(".")


def _kinds(facts: MachineFacts, engine: EngineProbe) -> Iterator[Finding]:
    if engine.rootless:
        text = "the engine is rootless: containers run as root, which is you outside"
        yield Finding("engine", "info", "rootless", text)
    if engine.userns_remap:
        text = "the engine remaps user ids; cvl uses the host's user namespace instead"
        yield Finding("engine", "info", "userns_remap", text)
    if engine.selinux:
        text = "SELinux is on in the engine; cvl runs its containers with label=disable"
        remedy = "the files that you name are not relabelled"
        yield Finding("engine", "info", "selinux", text, remedy)
    for warning in engine.warnings:
        if "without encryption" in warning or "Access to the remote API" in warning:
            text = (
                "the engine listens on the network without encryption: whoever reaches it is root"
            )
            remedy = "remove that -H tcp:// from the engine's options"
            yield Finding("engine", "warning", "api_open", text, remedy)
            return


def _limits(engine: EngineProbe) -> Iterator[Finding]:
    """Are memory limits in force? The engine starts containers without them all the same."""
    said = " ".join(engine.warnings).lower()
    version = f"cgroup v{engine.cgroup_version}" if engine.cgroup_version else "cgroups"
    if (
        not engine.memory_limit
        or "no memory limit support" in said
        or engine.cgroup_driver == "none"
    ):
        text = f"memory limits are not in force ({version}): a step may take all memory"
        remedy = "boot with cgroup_enable=memory"
        if engine.rootless:
            remedy = "rootless engines need cgroup v2 with delegation of memory"
        yield Finding("engine", "warning", "memory_limit_off", text, remedy)
    elif "no swap limit support" in said:
        text = f"swap is not limited ({version}): a step over its memory swaps before it ends"
        remedy = "boot with swapaccount=1"
        yield Finding("engine", "info", "swap_limit_off", text, remedy)
    else:
        yield Finding("engine", "ok", "memory_limit", f"memory limits are in force ({version})")


def _runc(engine: EngineProbe) -> Iterator[Finding]:
    """Distributions mend old versions without a new number; there is no telling from here."""
    version = numbers(engine.runc)
    if not version or version >= FIXED_RUNC:
        return
    text = f"runc {engine.runc} is older than 1.1.12, which closed a way out of containers"
    if re.search(r"\+|deb|ubuntu|\.el|\.fc", engine.runc):
        remedy = "your distribution may have mended it (CVE-2024-21626); keep it up to date"
        yield Finding("engine", "info", "runc_old", text, remedy)
        return
    yield Finding("engine", "warning", "runc_old", text, f"update the engine: {INSTALL}")


def _clients(facts: MachineFacts) -> Iterator[Finding]:
    """Which docker client builds?"""
    builder = next((client for client in facts.clients if client.builds), None)
    shown = ", ".join(client.path for client in facts.clients)
    if builder is None:
        if not facts.clients and facts.engine.problem is not None:
            return  # Docker is missing: said once
        text = f"no docker client here can build images with BuildKit ({shown or 'none found'})"
        remedy = "install the buildx plugin; the package has one of these names"
        commands = ("sudo apt install docker-buildx-plugin || sudo apt install docker-buildx",)
        yield Finding("engine", "error", "no_build_client", text, remedy, commands)
        return
    how = "buildx" if builder.builds == "buildx" else "its own BuildKit"
    yield Finding("engine", "ok", "build_client", f"{builder.path} builds images with {how}")
    if len(facts.clients) > 1:
        text = f"there are several docker clients: {shown}"
        remedy = "CVL_DOCKER_CLIENT names the one to use"
        yield Finding("engine", "info", "many_clients", text, remedy)
