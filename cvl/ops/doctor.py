"""Is this machine ready? Reads the facts; what follows from them is core/doctor's to say. Nothing
is changed, but that a container runs for a moment, in a folder that goes away with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cvl.core.doctor import MachineFacts
from cvl.core.doctor.about_gpu import ways_into_containers
from cvl.core.doctor.facts import (
    AmdFacts,
    CacheFacts,
    DiskFact,
    EngineProbe,
    FolderFact,
    HubFacts,
    ModelCacheFacts,
    NvidiaFacts,
    OwnershipFact,
    Problem,
    ProofFact,
)
from cvl.engine.probe import probe_clients, probe_engine, problem_of
from cvl.errors import CvlError
from cvl.machine.accelerators import read_amd, read_nvidia
from cvl.machine.gpus import read_gpus
from cvl.machine.leases import lease_folder
from cvl.machine.probes import Probes
from cvl.machine.surroundings import read_bundles, read_model_cache, read_proxies
from cvl.machine.system import read_system
from cvl.ops.proof import prove
from cvl.ops.reap import is_dead
from cvl.ops.session import Session
from cvl.ops.weights.condition import ask_hub, read_cache
from cvl.store.config import Config, load_config
from cvl.store.dirs import Dirs, find_dirs, own_dirs
from cvl.store.places import read_disk, read_folder, read_ownership
from cvl.store.records import RUNNING

TIMEOUT_S = 30.0
"""For all probes together: they run side by side. An engine that is frozen takes 10 s."""
SILENT = Problem("engine_timeout", "the engine was asked and nothing came back", "restart it")


def read_machine(
    *, container: bool = True, environment: Mapping[str, str] = os.environ
) -> MachineFacts:
    """All facts; never raises for what it cannot read. container: run one as well, to see whether
    it can."""
    config, settings = _settings()
    dirs, home = _home()
    cache = read_model_cache(environment)
    probes = Probes(TIMEOUT_S)
    engine = probes.start("the container engine", probe_engine)
    clients = probes.start("docker clients", probe_clients)
    nvidia = probes.start("the NVIDIA driver", read_nvidia)
    amd = probes.start("AMD GPUs", read_amd)
    leases = probes.start("the lease folder", _leases)
    folders = probes.start("cvl's folders", lambda: _folders(dirs))
    owners = probes.start("who owns files", lambda: _ownership(dirs, cache))
    dead = probes.start("runs that died", lambda: _dead_runs(None if home else dirs))
    on_disk = probes.start("the model cache", lambda: _cache(dirs, cache))
    hub = probes.start("the hub", lambda: ask_hub(environment, cache, config.offline))
    silent = EngineProbe("", "", SILENT)
    answered, images = engine((silent, ()))
    disks = probes.start("disks", lambda: _disks(dirs, cache, answered))
    facts = MachineFacts(
        system=read_system(),
        engine=answered,
        clients=clients(()),
        images=images,
        nvidia=nvidia(NvidiaFacts()),
        amd=amd(AmdFacts()),
        disks=disks(()),
        folders=folders(()),
        leases=leases(None),
        ownership=owners(()),
        dead_runs=dead(0),
        settings=settings,
        home=home,
        proxies=read_proxies(environment),
        bundles=read_bundles(environment, config.ca_bundle),
        models=cache,
        cache=on_disk(None),
        hub=hub(HubFacts()),
        venv_engine=_makes_environments(),
        engine_wanted=config.engine,
    )
    proof = _proof(facts, probes) if container and home is None else None
    return replace(facts, proof=proof, unread=tuple(probes.unread))


def _makes_environments() -> bool:
    from cvl.engine.environment import uv_program

    try:
        return bool(uv_program())
    except CvlError:
        return False


def _settings() -> tuple[Config, Problem | None]:
    try:
        return load_config(), None
    except CvlError as error:
        return Config(), problem_of(error)


def _home() -> tuple[Dirs | None, Problem | None]:
    """Also where they may not be used: what is known of them helps to see why."""
    dirs = None
    try:
        dirs = find_dirs()
        own_dirs()
    except CvlError as error:
        return dirs, problem_of(error)
    return dirs, None


def _leases() -> FolderFact | None:
    return read_folder("leases", lease_folder())


def cvl_folders(dirs: Dirs) -> dict[str, Path]:
    """What for -> the folder."""
    return {"state": dirs.state, "results": dirs.cache}


def _folders(dirs: Dirs | None) -> tuple[FolderFact, ...]:
    named = cvl_folders(dirs) if dirs else {}
    return tuple(read_folder(what, path) for what, path in named.items())


def _ownership(dirs: Dirs | None, cache: ModelCacheFacts) -> tuple[OwnershipFact, ...]:
    named = {**(cvl_folders(dirs) if dirs else {}), "models": Path(cache.hub)}
    return tuple(read_ownership(what, path) for what, path in named.items() if path.is_dir())


def _disks(dirs: Dirs | None, cache: ModelCacheFacts, engine: EngineProbe) -> tuple[DiskFact, ...]:
    """Desktop programs keep images in a disk of their virtual machine, which is not seen here."""
    named = {
        **({"results": dirs.cache} if dirs else {}),
        "models": Path(cache.hub),
        "home": Path(os.path.expanduser("~")),
        "temporary files": Path(tempfile.gettempdir()),
    }
    if engine.root_dir and "Desktop" not in engine.system and os.path.isdir(engine.root_dir):
        named["images"] = Path(engine.root_dir)
    return tuple(read_disk(what, path) for what, path in named.items())


def _cache(dirs: Dirs | None, cache: ModelCacheFacts) -> CacheFacts | None:
    return read_cache(Path(cache.hub), dirs)


def _dead_runs(dirs: Dirs | None) -> int:
    if dirs is None or not dirs.database.exists():
        return 0
    session = Session()
    runs = session.records.runs(state=RUNNING)
    return sum(is_dead(session, record.owner, record.id) for record in runs)


def _proof(facts: MachineFacts, probes: Probes) -> ProofFact | None:
    """A container with the first GPU, where the engine has a way to give it one. The GPU is not
    leased: nothing is computed on it."""
    if facts.engine.problem is not None:
        return None
    uuids: list[str] = []
    if facts.nvidia.gpus and ways_into_containers(facts):
        found = probes.start("ids of GPUs", lambda: [gpu.uuid for gpu in read_gpus()])
        uuids = found([])
    return prove(Session(), uuids[0] if uuids else "")
