"""What a run says beside its outputs: how they were made, and what differs from run to run."""

from __future__ import annotations

import os
import platform
import time

from cvl.core.provenance import Provenance
from cvl.core.provenance.sidecar import Sidecar, StepRun
from cvl.ops.node import NodeResult
from cvl.store.numbering import Published
from cvl.store.sidecars import write_sidecar
from cvl.store.staging import digest_of


def _sidecar_of(
    provenance: Provenance, sha256: str, run: str, seconds: float, result: NodeResult
) -> Sidecar:
    """The statement with what differs from run to run."""
    steps = {
        name: StepRun(step.cached, round(float(step.seconds), 3), step.metrics)
        for name, step in result.steps.items()
    }
    machine = {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "processors": str(os.cpu_count() or 0),
    }
    return Sidecar(
        schema="cvl-sidecar/1",
        provenance=provenance,
        sha256=sha256,
        run=run,
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(seconds, 3),
        machine=machine,
        steps=steps,
        warnings=tuple(text for step in result.steps.values() for text in step.warnings),
    )


def write_sidecars(
    run: str,
    published: dict[str, Published],
    result: NodeResult,
    made_by: dict[str, Provenance],
    seconds: float,
) -> dict[str, str]:
    """Written last: a file without its sidecar is whole, a sidecar without its file is nothing."""
    written: dict[str, str] = {}
    for name, place in published.items():
        path = place.target.path
        sha256 = "" if path.is_dir() else digest_of(path)
        sidecar = _sidecar_of(made_by[name], sha256, run, seconds, result)
        written[name] = str(write_sidecar(place.target, sidecar))
    return written
