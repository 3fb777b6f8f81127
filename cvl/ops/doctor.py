"""Is this machine ready? One small function per question; each answers with a Finding or, when the
question makes no sense here, with nothing. Only looks: nothing is created, changed or removed."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cvl import __version__
from cvl.core.container import EngineFacts
from cvl.errors import CvlError
from cvl.machine.gpus import Gpu, has_metal, read_gpus
from cvl.ops.reap import is_dead
from cvl.ops.session import Session
from cvl.store.atomic import mount_of
from cvl.store.config import load_config
from cvl.store.dirs import Dirs, find_dirs
from cvl.store.records import RUNNING

GB = 10**9
DISK_LEAST, DISK_LITTLE = 1 * GB, 20 * GB
CDI_FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
Severity = Literal["ok", "info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What a check found, and the one thing that mends it."""

    name: str
    severity: Severity
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Machine:
    """What the checks look at, read once. `facts` is None when the engine did not answer."""

    endpoint: str
    facts: EngineFacts | None
    engine_error: CvlError | None
    gpus: tuple[Gpu, ...]
    dirs: Dirs | None
    dirs_error: CvlError | None
    session: Session = field(default_factory=Session)


Check = Callable[[Machine], Finding | None]


def diagnose() -> list[Finding]:
    """All findings, in the order of the checks."""
    machine = read_machine()
    found = (check(machine) for check in CHECKS)
    return [finding for finding in found if finding is not None]


def read_machine() -> Machine:
    """Ask the engine, the driver and the environment. Never raises for what it cannot read."""
    session = Session()
    endpoint, facts, engine_error = _read_engine(session)
    dirs, dirs_error = None, None
    try:
        dirs = find_dirs()
    except CvlError as error:
        dirs_error = error
    gpus = tuple(read_gpus())
    return Machine(endpoint, facts, engine_error, gpus, dirs, dirs_error, session)


def _read_engine(session: Session) -> tuple[str, EngineFacts | None, CvlError | None]:
    endpoint = ""
    try:
        from cvl.engine.endpoint import resolve_endpoint

        endpoint = resolve_endpoint().url
        return endpoint, session.engine.facts(), None
    except CvlError as error:
        return endpoint, None, error


def check_cvl(machine: Machine) -> Finding:
    """Which cvl this is, and what runs it."""
    where = f"Python {platform.python_version()} at {sys.executable}"
    return Finding("cvl", "ok", f"cvl {__version__}, {where}")


def check_settings(machine: Machine) -> Finding:
    """Can cvl.toml and the environment be read?"""
    try:
        load_config()
    except CvlError as error:
        return Finding("settings", "error", error.message, error.hint or "mend the file")
    return Finding("settings", "ok", "settings can be read")


def check_engine(machine: Machine) -> Finding | None:
    """Does a container engine answer?"""
    error = machine.engine_error
    if machine.facts is not None:
        version = machine.facts.version
        return Finding("engine", "ok", f"docker engine {version} at {machine.endpoint}")
    if error is None or error.code in ("engine_permission", "engine_remote"):
        return None
    if _makes_environments() and _engine_setting() != "docker":
        text = f"{error.message}; only examples that run in virtual environments can run here"
        return Finding("engine", "warning", text, error.hint)
    return Finding("engine", "error", error.message, error.hint)


def check_venv(machine: Machine) -> Finding:
    """Can virtual environments be made, for the venv engine?"""
    from cvl.engine.environment import platform_tag, uv_program

    device = "mps" if has_metal() else "cuda" if machine.gpus else "cpu"
    try:
        text = f"{uv_program()} makes virtual environments of {platform_tag()}; device {device}"
        return Finding("venv", "ok", text)
    except CvlError as error:
        return Finding("venv", "info", error.message, error.hint)


def _engine_setting() -> str:
    with contextlib.suppress(CvlError):
        return load_config().engine
    return "auto"


def _makes_environments() -> bool:
    from cvl.engine.environment import uv_program

    try:
        return bool(uv_program())
    except CvlError:
        return False


def check_permission(machine: Machine) -> Finding | None:
    """May this user use it?"""
    error = machine.engine_error
    if machine.facts is not None:
        return Finding("permission", "ok", "you may use the engine")
    if error is None or error.code != "engine_permission":
        return None
    return Finding("permission", "error", error.message, error.hint)


def check_remote(machine: Machine) -> Finding | None:
    """Is it an engine of this machine? Files cannot be mounted into containers of another."""
    error = machine.engine_error
    if machine.facts is not None:
        return Finding("remote", "ok", "the engine runs on this machine")
    if error is None or error.code != "engine_remote":
        return None
    return Finding("remote", "error", error.message, error.hint)


def check_builder(machine: Machine) -> Finding:
    """Which docker client can build images with BuildKit?"""
    from cvl.engine.build import find_client

    try:
        client = find_client()
    except CvlError as error:
        bad: Severity = "error" if machine.facts is not None else "info"
        return Finding("builder", bad, error.message, error.hint)
    how = "buildx" if client.buildx else "its own BuildKit"
    return Finding("builder", "ok", f"{client.path} {client.version} builds images with {how}")


def check_snap(machine: Machine) -> Finding | None:
    """Docker from a snap is confined: it sees a part of the files, and has no NVIDIA hook."""
    client = os.path.realpath(shutil.which("docker") or "")
    if not (machine.facts is not None and machine.facts.snap) and not client.startswith("/snap/"):
        return None
    return Finding(
        "snap",
        "warning",
        "Docker is installed as a snap: it sees your home folder only, and no NVIDIA GPU",
        "install Docker from your distribution or docker.com instead: sudo snap remove docker",
    )


def check_rootless(machine: Machine) -> Finding | None:
    """A rootless engine needs its own GPU setting."""
    if machine.facts is None or not machine.facts.rootless:
        return None
    text = "the engine is rootless: containers run as root, which is you outside"
    if not machine.gpus:
        return Finding("rootless", "info", text)
    remedy = "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
    return Finding("rootless", "info", f"{text}; GPUs need no-cgroups", remedy)


def check_userns(machine: Machine) -> Finding | None:
    """Remapped user ids would give outputs to somebody else."""
    if machine.facts is None or not machine.facts.userns_remap:
        return None
    text = "the engine remaps user ids; cvl runs its containers in the host's user namespace"
    return Finding("userns", "info", text)


def check_selinux(machine: Machine) -> Finding | None:
    """Labels would keep a container from what is mounted into it."""
    if machine.facts is None or not machine.facts.selinux:
        return None
    text = "SELinux is on in the engine; cvl runs its containers with label=disable"
    return Finding("selinux", "info", text)


def check_driver(machine: Machine) -> Finding:
    """Is there an NVIDIA driver, and which GPUs does it show?"""
    if machine.gpus:
        shown = ", ".join(
            f"{gpu.name} ({gpu.memory_total / GB:.0f} GB, compute {gpu.compute_capability})"
            for gpu in machine.gpus
        )
        return Finding("driver", "ok", f"NVIDIA driver {machine.gpus[0].driver}: {shown}")
    if os.path.exists("/proc/driver/nvidia/version"):
        text = "the NVIDIA driver is loaded but shows no GPU"
        return Finding("driver", "error", text, "nvidia-smi says why; a reboot often mends it")
    return Finding("driver", "info", "no NVIDIA GPU: examples that need one cannot run here")


def check_gpu_runtime(machine: Machine) -> Finding | None:
    """Can the engine give a GPU to a container?"""
    if not machine.gpus or machine.facts is None:
        return None
    if machine.facts.nvidia:
        return Finding("gpu_runtime", "ok", "the nvidia runtime is registered in the engine")
    hook = shutil.which("nvidia-container-runtime-hook")
    if hook is not None:
        return Finding("gpu_runtime", "ok", f"the engine can use {hook}")
    specs = [str(path) for folder in CDI_FOLDERS for path in folder.glob("nvidia*")]
    if specs:
        return Finding("gpu_runtime", "ok", f"the engine can use CDI ({specs[0]})")
    installed = shutil.which("nvidia-ctk") is not None
    remedy = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
    return Finding(
        "gpu_runtime",
        "error",
        "the engine cannot give a GPU to a container",
        remedy if installed else "install nvidia-container-toolkit, then run cvl doctor again",
    )


def check_disk(machine: Machine) -> Finding | None:
    """Is there room where results and work folders are?"""
    if machine.dirs is None:
        return None
    return _room("disk", machine.dirs.cache, "CVL_HOME names another place; cvl gc makes room")


def check_engine_disk(machine: Machine) -> Finding | None:
    """Is there room where the engine keeps images?"""
    if machine.facts is None or not machine.facts.root_dir:
        return None
    root = Path(machine.facts.root_dir)
    if not os.path.isdir(root):
        return None
    return _room("engine_disk", root, "cvl gc removes old images; docker system df shows the rest")


def _room(name: str, folder: Path, remedy: str) -> Finding | None:
    try:
        mount = mount_of(folder)
        free = shutil.disk_usage(mount).free
    except OSError as error:
        return Finding(name, "warning", f"the disk of {folder} cannot be read: {error.strerror}")
    text = f"{free / GB:.1f} GB free for {folder} (on {mount})"
    if free < DISK_LEAST:
        return Finding(name, "error", text, remedy)
    return (
        Finding(name, "warning", text, remedy) if free < DISK_LITTLE else Finding(name, "ok", text)
    )


def check_folders(machine: Machine) -> Finding:
    """Are the folders that cvl writes to ours, private and writable?"""
    if machine.dirs is None:
        error = machine.dirs_error
        return Finding(
            "folders", "error", error.message if error else "", error.hint if error else ""
        )
    for folder in (machine.dirs.state, machine.dirs.cache):
        problem = _folder_problem(folder)
        if problem is not None:
            return problem
    shown = f"{machine.dirs.state} and {machine.dirs.cache}"
    return Finding("folders", "ok", f"{shown} can be written to")


def _folder_problem(folder: Path) -> Finding | None:
    existing = _nearest_existing(folder)
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        text = f"{existing} cannot be written to"
        return Finding("folders", "error", text, "set CVL_HOME to a folder of yours")
    status = existing.stat()
    if existing != folder:
        return None
    if status.st_uid != os.getuid():
        text = f"{folder} belongs to user {status.st_uid}, not to you ({os.getuid()})"
        return Finding("folders", "error", text, f"sudo chown -R {os.getuid()} {folder}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        text = f"{folder} can be read by other users"
        return Finding("folders", "warning", text, f"chmod 700 {folder}")
    return None


def _nearest_existing(folder: Path) -> Path:
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def check_leftovers(machine: Machine) -> Finding | None:
    """Did runs die without cleaning up?"""
    if machine.dirs is None or not machine.dirs.database.exists():
        return None
    session = machine.session
    try:
        runs = session.records.runs(state=RUNNING)
        dead = sum(is_dead(session, record.owner, record.id) for record in runs)
    except CvlError as error:
        return Finding("leftovers", "error", error.message, error.hint)
    if not dead:
        return None
    text = f"{dead} run{'s' if dead != 1 else ''} died and left something"
    return Finding("leftovers", "info", text, "cvl gc removes it; so does the next run")


CHECKS: tuple[Check, ...] = (
    check_cvl,
    check_settings,
    check_engine,
    check_permission,
    check_remote,
    check_venv,
    check_builder,
    check_snap,
    check_rootless,
    check_userns,
    check_selinux,
    check_driver,
    check_gpu_runtime,
    check_disk,
    check_engine_disk,
    check_folders,
    check_leftovers,
)


def errors_in(findings: list[Finding]) -> Iterator[Finding]:
    """The findings that keep something from working."""
    return (finding for finding in findings if finding.severity == "error")
