"""What the doctor wants to know of the model cache and of the hub."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from cvl.core.doctor.facts import CacheFacts, HubFacts, LibraryFact, ModelCacheFacts, Problem
from cvl.disks import file_system, is_network
from cvl.errors import CvlError, WeightsError
from cvl.hub.remote import Listener, who_am_i
from cvl.store.dirs import Dirs
from cvl.store.disk import children
from cvl.store.hub_survey import SHARED, survey
from cvl.store.places import read_folder
from cvl.store.url_weights import UrlWeights

ANSWER_S = 8.0
HUB = "https://huggingface.co"
MARKER = ".huggingface-shared-blobs"
LIBRARY = "lib/python*/site-packages/huggingface_hub-*.dist-info"


def read_cache(hub: Path, dirs: Dirs | None) -> CacheFacts:
    """Without its library, and without changing anything."""
    repos = survey(hub)
    left = [leftover for repo in repos for leftover in repo.leftovers]
    if dirs is not None:
        left += UrlWeights(dirs.url_weights).parts()
    fetched = [repo for repo in repos if repo.kind == "model" and repo.commits]
    listed = sum(any(children(repo.path / "trees")) for repo in fetched)
    return CacheFacts(
        folder=read_folder("models", hub),
        file_system=file_system(hub),
        remote=is_network(hub),
        leftovers=len(left),
        leftover_bytes=sum(leftover.size for leftover in left),
        listed=listed,
        unlisted=len(fetched) - listed,
        shared=(hub / SHARED / MARKER).exists(),
        libraries=(*_own(), *_of_environments(dirs)),
    )


def _own() -> tuple[LibraryFact, ...]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return (LibraryFact("cvl", version("huggingface_hub")),)
    except PackageNotFoundError:
        return ()


def _of_environments(dirs: Dirs | None) -> tuple[LibraryFact, ...]:
    """Of each example the newest of its environments."""
    found: dict[str, tuple[float, str]] = {}
    for folder in children(dirs.envs) if dirs else []:
        for path in sorted(folder.glob(LIBRARY)):
            example = folder.name.rpartition("-")[0] or folder.name
            version = path.name.removesuffix(".dist-info").rpartition("-")[2]
            found[example] = max(found.get(example, (0.0, "")), (folder.stat().st_mtime, version))
    return tuple(LibraryFact(example, version) for example, (_, version) in sorted(found.items()))


def ask_hub(environment: Mapping[str, str], cache: ModelCacheFacts, offline: bool) -> HubFacts:
    """Nothing is asked where the network is not to be used. The token stays in the process that
    asks."""
    if offline or cache.offline:
        return HubFacts()
    endpoint = environment.get("HF_ENDPOINT") or HUB
    until = time.monotonic() + ANSWER_S

    def pause(seconds: float) -> None:
        if time.monotonic() > until:
            raise WeightsError(
                f"{endpoint} has not answered for {ANSWER_S:g} s",
                hint="check the network and proxies; HF_ENDPOINT names a mirror",
                code="unreachable",
            )

    try:
        name = who_am_i(Listener(pause))
    except CvlError as error:
        return HubFacts(endpoint, Problem(error.code, error.message, error.hint))
    return HubFacts(endpoint, known=bool(name))
