"""A step on its offload ladder: where it starts, one rung down after an out-of-memory, and what is
learned of the memory that it takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cvl.core.manifest import ModelManifest, OffloadRung
from cvl.core.media import MediaInfo
from cvl.core.offload import (
    Attempt,
    Peak,
    Room,
    choose,
    exhausted,
    for_values,
    known_too_big,
    learned,
    measured,
    next_down,
    size_class,
    stepped_down,
)
from cvl.core.plan import Placement, StepSpec
from cvl.errors import CvlError, MemoryFault
from cvl.ops.place import GB, GpuChoice, limits_for
from cvl.ops.session import Session
from cvl.ops.step import StepContext, StepResult, run_step
from cvl.store.atomic import remove_tree
from cvl.store.dirs import make_private
from cvl.store.records import PeakKey
from cvl.store.staging import CheckedFile


@dataclass(frozen=True)
class Ladder:
    """The rungs of a step. asked: what `--offload` named; then no other is tried. too_big: modes
    that earlier runs of this size showed not to fit into the room there is."""

    rungs: tuple[OffloadRung, ...]
    asked: str | None
    start: OffloadRung
    room: Room
    key: PeakKey
    too_big: frozenset[str]


def ladder_for(
    session: Session,
    manifest: ModelManifest,
    values: Mapping[str, Any],
    asked: str | None,
    gpus: GpuChoice,
) -> Ladder:
    """Choose the rung to start on: by what the manifest says each needs, and by what each was seen
    to need."""
    rungs, free = for_values(manifest.offload, values), gpus.free_vram_gb
    room = Room(
        gpu=None if free is None else int(free * GB),
        container=limits_for(session, manifest.resources, None).memory,
    )
    numbers = {k: v for k, v in values.items() if isinstance(v, int) and not isinstance(v, bool)}
    key = PeakKey(manifest.name, gpus.device, size_class(_media(values), numbers))
    peaks = session.records.peaks(key) if rungs and asked is None else {}
    too_big = known_too_big(peaks, room)
    return Ladder(rungs, asked, choose(rungs, asked, free, too_big), room, key, too_big)


def _media(values: Mapping[str, Any]) -> Iterator[MediaInfo]:
    for value in values.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, CheckedFile) and item.info is not None:
                yield item.info


def run_ladder(
    session: Session, ladder: Ladder, spec: StepSpec, placement: Placement, context: StepContext
) -> StepResult:
    """Run a step, and again on a lower rung after an out-of-memory; never after another failure.

    Every rung is a step of its own: an inexact one has another key, so another lock and perhaps a
    result already.
    """
    failed: list[Attempt] = []
    warnings: list[str] = []
    first: MemoryFault | None = None
    while True:
        result = _try(session, spec, placement, context)
        if isinstance(result, StepResult):
            return _told(session, ladder, spec, result, failed, warnings)
        _learn(session, ladder, spec.offload, learned(result, ladder.room))
        first = first or result
        failed.append(Attempt(spec.offload, result.code))
        rung = _next(ladder, failed)
        if rung is None:
            raise _last_word(ladder, first, failed)
        warnings.append(stepped_down(result, spec.offload, rung.mode))
        session.report.warning(warnings[-1])
        spec = replace(spec, offload=rung.mode, exact_offload=rung.exact)
        placement = _fresh(placement, len(failed))


def _try(
    session: Session, spec: StepSpec, placement: Placement, context: StepContext
) -> StepResult | MemoryFault:
    try:
        return run_step(session, spec, placement, context)
    except MemoryFault as fault:
        return fault


def _next(ladder: Ladder, failed: list[Attempt]) -> OffloadRung | None:
    if ladder.asked is not None:
        return None
    return next_down(ladder.rungs, [attempt.offload for attempt in failed], ladder.too_big)


def _last_word(ladder: Ladder, first: MemoryFault, failed: list[Attempt]) -> MemoryFault:
    """The failure that began it, with what was tried since. One that was not ours to mend keeps the
    hint that it has."""
    if ladder.asked is None and ladder.rungs:
        first.hint = exhausted(ladder.rungs, [attempt.offload for attempt in failed])
    return first


def _told(
    session: Session,
    ladder: Ladder,
    spec: StepSpec,
    result: StepResult,
    failed: list[Attempt],
    warnings: list[str],
) -> StepResult:
    """The result with how it was come by. A result that was known teaches nothing of memory, and
    keeps the mode that it was made with: an exact one is as good as another."""
    attempts = list(failed)
    if not result.cached:
        attempts.append(Attempt(spec.offload))
        _learn(session, ladder, spec.offload, measured(result.metrics))
    return replace(
        result,
        offload=result.offload if result.cached else spec.offload,
        attempts=tuple(attempts),
        warnings=[*warnings, *result.warnings],
    )


def _learn(session: Session, ladder: Ladder, mode: str, peak: Peak) -> None:
    """What cannot be written down costs a second try next time, never this result."""
    if ladder.rungs:
        with contextlib.suppress(CvlError):
            session.records.learn(ladder.key, mode, peak)


def _fresh(placement: Placement, number: int) -> Placement:
    """A new work folder beside the old one, with the inputs of it. The rest goes now: it may be
    large, and what a program left half done is not for the next."""
    old = Path(placement.work)
    new = make_private(old.with_name(f"{old.name.partition('-')[0]}-{number + 1}"))
    os.rename(old / "inputs", new / "inputs")
    with contextlib.suppress(OSError):
        remove_tree(old)
    return replace(placement, work=str(new))
