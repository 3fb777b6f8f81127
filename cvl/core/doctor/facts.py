"""What was read of a machine, before anybody judges it. `cvl doctor --json` prints these values, so
that a report of a broken machine can be looked at anywhere.

Sizes are bytes; an empty string, an empty tuple and 0 mean that there is none or that it could not
be read. No value of a token and no password of a proxy is ever in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """An error of cvl's, as it would be told."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class SystemFacts:
    """os: as `platform.system()` says. wsl: 0, 1 or 2. docker_group: the user is `in` it, was put
    into it but has not logged in again (`stale`), is `out` of it, or there is `none`."""

    os: str
    arch: str
    wsl: int
    python: str
    executable: str
    cvl: str
    uid: int
    home: str
    docker_group: str


@dataclass(frozen=True)
class EngineProbe:
    """What the engine says of itself. problem: why it could not be asked. other_sockets: where else
    an engine seems to listen. cdi: devices that it found by CDI. warnings: its own words."""

    url: str
    source: str
    problem: Problem | None
    other_sockets: tuple[str, ...] = ()
    version: str = ""
    system: str = ""
    memory: int = 0
    root_dir: str = ""
    storage: str = ""
    cgroup_version: str = ""
    cgroup_driver: str = ""
    memory_limit: bool = False
    rootless: bool = False
    userns_remap: bool = False
    selinux: bool = False
    runtimes: tuple[str, ...] = ()
    runc: str = ""
    cdi: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClientFact:
    """A docker client; builds: `buildx`, `built-in`, or empty when it cannot use BuildKit. real:
    the path with links followed."""

    path: str
    real: str
    builds: str


@dataclass(frozen=True)
class ImageFact:
    """What an image of cvl's asks of the driver. requires: NVIDIA_REQUIRE_CUDA; cuda: CUDA_VERSION;
    waived: NVIDIA_DISABLE_REQUIRE is set."""

    name: str
    requires: str
    cuda: str
    waived: bool


@dataclass(frozen=True)
class GpuFact:
    """One NVIDIA GPU; memory in bytes."""

    name: str
    memory: int
    compute_capability: str


@dataclass(frozen=True)
class NvidiaFacts:
    """driver: version by NVML. loaded: version of the kernel module. cards: NVIDIA cards on the PCI
    bus. hook, ctk: paths of the toolkit's programs. cdi_specs: files that describe NVIDIA devices.
    no_cgroups: what the toolkit's own configuration says."""

    driver: str = ""
    gpus: tuple[GpuFact, ...] = ()
    problem: str = ""
    loaded: str = ""
    cards: int = 0
    ctk: str = ""
    hook: str = ""
    cdi_specs: tuple[str, ...] = ()
    no_cgroups: bool = False
    wsl_library: bool = False


@dataclass(frozen=True)
class AmdFacts:
    """kfd: the compute device is there. cards: AMD cards that the kernel drives."""

    kfd: bool = False
    cards: int = 0


@dataclass(frozen=True)
class DiskFact:
    """Room for `what` at `path`."""

    what: str
    path: str
    mount: str
    free: int
    total: int
    problem: str = ""


@dataclass(frozen=True)
class FolderFact:
    """A folder that cvl uses. `existing`: it, or the nearest folder above that is there; the rest
    is about that one. mode: permission bits."""

    what: str
    path: str
    existing: str
    owner: int
    mode: int
    writable: bool


@dataclass(frozen=True)
class OwnershipFact:
    """Files below `path` that belong to other users. complete: all of it was looked at."""

    what: str
    path: str
    foreign: int
    looked_at: int
    complete: bool
    example: str = ""


@dataclass(frozen=True)
class ProxyFact:
    """A proxy variable; `value` without name and password."""

    name: str
    value: str


@dataclass(frozen=True)
class BundleFact:
    """A file of certificate authorities and who names it. used: cvl passes it on."""

    source: str
    path: str
    certificates: int
    problem: str
    used: bool


@dataclass(frozen=True)
class ModelCacheFacts:
    """The Hugging Face cache. token: where one was found (never the token itself)."""

    hub: str = ""
    offline: bool = False
    token: str = ""


@dataclass(frozen=True)
class LibraryFact:
    """A huggingface_hub that uses the cache: `cvl`, or the name of an environment."""

    place: str
    version: str


@dataclass(frozen=True)
class CacheFacts:
    """The hub cache on disk. file_system: as the kernel calls it. remote: other machines, or
    programs, answer for it. leftovers: unfinished downloads.
    listed, unlisted: repos with and without a note of what their commits have, which newer versions
    of huggingface_hub write. shared: a store that repos share is there, which they also know."""

    folder: FolderFact
    file_system: str = ""
    remote: bool = False
    leftovers: int = 0
    leftover_bytes: int = 0
    listed: int = 0
    unlisted: int = 0
    shared: bool = False
    libraries: tuple[LibraryFact, ...] = ()


@dataclass(frozen=True)
class HubFacts:
    """endpoint: empty when it was not asked. problem: why it, or the token, does not do. known: the
    hub knows the token."""

    endpoint: str = ""
    problem: Problem | None = None
    known: bool = False


@dataclass(frozen=True)
class ProofFact:
    """A container that was run to see whether one can. gpus: how many it was given; seen_gpus: how
    many of them it could use, and why not; driver_cuda: the newest CUDA, as the driver says."""

    image: str
    gpus: int
    seconds: float
    problem: Problem | None
    seen_gpus: int = 0
    gpu_problem: str = ""
    driver_cuda: str = ""


@dataclass(frozen=True)
class Unread:
    """A probe without an answer, and why."""

    probe: str
    why: str


@dataclass(frozen=True)
class MachineFacts:
    """All of it. proof is None when no container was run. venv_engine: can steps run in a virtual
    environment instead of a container?"""

    system: SystemFacts
    engine: EngineProbe
    clients: tuple[ClientFact, ...] = ()
    images: tuple[ImageFact, ...] = ()
    nvidia: NvidiaFacts = field(default_factory=NvidiaFacts)
    amd: AmdFacts = field(default_factory=AmdFacts)
    disks: tuple[DiskFact, ...] = ()
    folders: tuple[FolderFact, ...] = ()
    leases: FolderFact | None = None
    ownership: tuple[OwnershipFact, ...] = ()
    dead_runs: int = 0
    settings: Problem | None = None
    home: Problem | None = None
    proxies: tuple[ProxyFact, ...] = ()
    bundles: tuple[BundleFact, ...] = ()
    models: ModelCacheFacts = field(default_factory=ModelCacheFacts)
    cache: CacheFacts | None = None
    hub: HubFacts = field(default_factory=HubFacts)
    proof: ProofFact | None = None
    venv_engine: bool = False
    engine_wanted: str = "auto"
    """auto, docker or venv, as settings say."""
    unread: tuple[Unread, ...] = ()
