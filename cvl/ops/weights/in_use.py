"""Who uses weights, so that nobody deletes them meanwhile: every step and every command that reads
or writes a repo has a shared lease on it; who deletes takes it alone, or leaves the repo alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvl.core import owner as labels
from cvl.errors import CvlError
from cvl.machine.weight_leases import alone, lease_name, shared
from cvl.ops.session import Session
from cvl.ops.weights.needs import RepoNeed, UrlNeed
from cvl.ops.weights.resolving import RepoFiles
from cvl.store.hub_cache import CachedRepo, hub_folder
from cvl.store.url_weights import UrlWeights

Weights = RepoFiles | RepoNeed | UrlNeed


@contextmanager
def in_use(session: Session, weights: Weights) -> Iterator[str]:
    """Use them while the block lasts; yields the name of the lease."""
    name = lease_name(_place(session, weights))
    what = _named(weights)

    def say_waiting() -> None:
        session.report.phase(what, "wait", "another process is deleting it")

    with shared(name, session.cancel.pause, say_waiting):
        yield name


@contextmanager
def unused(session: Session, place: Path) -> Iterator[str]:
    """Keep everybody from using a repo's folder, or a file; yields who uses it when somebody does,
    else empty text.

    The lease comes first: of a container whose cvl was killed nobody holds it any more, and only
    then can no other one begin.
    """
    name = lease_name(place)
    with alone(name) as user:
        yield user or _container_with(session, name)


def _container_with(session: Session, lease: str) -> str:
    """The run of a container that uses what a lease is of; empty when there is none."""
    for view in (session.on_host(), session):
        try:
            containers = view.engine.find({labels.WEIGHTS: ""})
        except CvlError:
            continue  # no engine, no containers
        for container in containers:
            if container.running and lease in container.labels[labels.WEIGHTS].split(","):
                return f"run {container.labels.get(labels.RUN, 'unknown')}"
    return ""


def _place(session: Session, weights: Weights) -> Path:
    if isinstance(weights, UrlNeed):
        return UrlWeights(session.dirs.url_weights).place(weights.sha256)
    repo = weights.repo if isinstance(weights, RepoNeed) else weights.need.repo
    return CachedRepo(hub_folder(), repo).folder


def _named(weights: Weights) -> str:
    if isinstance(weights, UrlNeed):
        return weights.name
    return weights.repo if isinstance(weights, RepoNeed) else weights.need.repo
