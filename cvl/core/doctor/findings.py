"""From facts to findings: a pure function. What it says is held against machines that are
written down in tests/support/machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cvl.core.doctor.about_cache import about_cache, about_hub
from cvl.core.doctor.about_cvl import about_cvl
from cvl.core.doctor.about_engine import about_engine
from cvl.core.doctor.about_gpu import about_gpu
from cvl.core.doctor.about_network import about_models, about_network
from cvl.core.doctor.about_places import about_disks
from cvl.core.doctor.about_proof import about_proof
from cvl.core.doctor.facts import MachineFacts
from cvl.core.doctor.finding import Finding

ABOUT: tuple[Callable[[MachineFacts], Iterator[Finding]], ...] = (
    about_cvl,
    about_engine,
    about_proof,
    about_gpu,
    about_disks,
    about_models,
    about_hub,
    about_cache,
    about_network,
)


def findings(facts: MachineFacts) -> tuple[Finding, ...]:
    """Everything that is to be said of a machine, topic by topic."""
    return tuple(finding for about in ABOUT for finding in about(facts))
