"""The weights of a step before it runs, for a dry run. Reads only, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cvl.core.manifest import ModelManifest
from cvl.core.references import parse_reference
from cvl.core.units import size
from cvl.ops.request import Options
from cvl.ops.session import Session
from cvl.ops.weights.needs import entries_of
from cvl.ops.weights.using import GB, State, Used, here, name_of


@dataclass(frozen=True)
class PlannedWeights:
    """present, needed: bytes; known: how much is needed is what the hub or the lock says. `own`: in
    place of the hub's."""

    name: str
    state: State | Literal["own"]
    present: int = 0
    needed: int = 0
    known: bool = True


def planned_weights(
    session: Session, manifest: ModelManifest, inputs: Mapping[str, Any], options: Options
) -> list[PlannedWeights]:
    """Those that the inputs name which are known yet."""
    values = {name: value for name, value in inputs.items() if parse_reference(value) is None}
    planned = []
    for weights, need in entries_of(manifest, values):
        name = name_of(need)
        if name in options.weights:
            planned.append(PlannedWeights(name, "own"))
            continue
        found = here(session, Used(need, size=int((weights.size_gb or 0) * GB)))
        planned.append(PlannedWeights(name, found.state, found.present, found.needed, found.known))
    return planned


def planned_line(weights: PlannedWeights) -> str:
    """What a person reads of it."""
    if weights.state == "own":
        return f"weights {weights.name}: your own"
    if weights.state == "complete":
        return f"weights {weights.name}: here, {size(weights.present)}"
    missing = weights.needed - weights.present
    about = "" if weights.known else "about "
    fetch = f", {about}{size(missing)} to fetch" if missing > 0 else ""
    return f"weights {weights.name}: {weights.state}{fetch}"
