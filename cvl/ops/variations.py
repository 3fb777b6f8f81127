"""Variations: one request with several seeds, one run after the other, each with a record of its
own."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cvl.core.seeds import show_seeds
from cvl.errors import (
    Cancelled,
    CvlError,
    InputError,
    OutputError,
    StepError,
    TimeoutFault,
    VariationsError,
)
from cvl.ops.examples import Catalog
from cvl.ops.predict import RunResult, run_plan
from cvl.ops.request import (
    Checked,
    CheckedInputs,
    Request,
    check_inputs,
    check_outputs,
    new_run_id,
)
from cvl.ops.session import Session

OF_ITS_OWN = (StepError, OutputError, TimeoutFault)
"""Failures that another seed may be spared: what a program made of this one. Bad input, the engine,
memory, disk, weights and signals are about all of them."""


@dataclass(frozen=True)
class Variations:
    """Every variation of a request, checked, in the order of the seeds."""

    inputs: CheckedInputs
    each: tuple[Checked, ...]


@dataclass(frozen=True)
class Failed:
    """A variation that was started and not made."""

    seed: int
    run: str
    error: CvlError


@dataclass(frozen=True)
class Outcome:
    """How variations went. done: in the order of the seeds; failed: in the order of time; left:
    seeds that were not started; seconds: of all of it."""

    example: str
    done: tuple[RunResult, ...]
    failed: tuple[Failed, ...]
    left: tuple[int, ...]
    seconds: float

    @property
    def error(self) -> VariationsError | None:
        """The first failure, with what became of the others; a signal speaks before it."""
        if not self.failed:
            return None
        stopped = self.failed[-1]
        first = stopped if isinstance(stopped.error, Cancelled) else self.failed[0]
        parts = [
            f"{what}: {show_seeds(seeds)}"
            for what, seeds in (
                ("failed", [failed.seed for failed in self.failed]),
                ("done", [result.seed for result in self.done]),
                ("not started", self.left),
            )
            if seeds
        ]
        message = f"seed {first.seed}: {first.error.message} ({'; '.join(parts)})"
        return VariationsError(message, first.error)


def check_variations(catalog: Catalog, request: Request, seeds: Sequence[int]) -> Variations:
    """Check the inputs once and the outputs of each, before the first one starts.

    Raises UserError for the first thing that is wrong, InputError where two would be one file.
    """
    inputs = check_inputs(catalog, request)
    each = []
    for seed in seeds:
        options = replace(request.options, seed=seed)
        one = replace(request, options=options, several=True)
        each.append(check_outputs(inputs, one, new_run_id()))
    paths = [target.path for checked in each for target in checked.targets.values()]
    if len(set(paths)) < len(paths):
        raise InputError(
            "two variations have the same path", hint="put {seed} in the name of each output"
        )
    return Variations(inputs, tuple(each))


def run_variations(session: Session, catalog: Catalog, variations: Variations) -> Outcome:
    """Run them. A failure of one variation alone does not end the others; any other does. What was
    published stays."""
    started = time.monotonic()
    done: dict[int, RunResult] = {}
    failed: list[Failed] = []
    ordered = sorted(variations.each, key=_is_settled)
    for number, checked in enumerate(ordered, 1):
        session.report.message(f"variation {number} of {len(ordered)}: seed {checked.seed}")
        run = new_run_id()  # not earlier: it tells the time of its start
        try:
            fresh = check_outputs(variations.inputs, checked.request, run)
            done[checked.seed] = run_plan(session, catalog, fresh)
        except CvlError as error:
            failed.append(Failed(checked.seed, run, error))
            if not isinstance(error, OF_ITS_OWN):
                break
            session.report.warning(f"seed {checked.seed}: {error.message}")
    seeds = [checked.seed for checked in variations.each]
    begun = {*done, *(failure.seed for failure in failed)}
    return Outcome(
        example=variations.inputs.manifest.name,
        done=tuple(done[seed] for seed in seeds if seed in done),
        failed=tuple(failed),
        left=tuple(seed for seed in seeds if seed not in begun),
        seconds=time.monotonic() - started,
    )


def _is_settled(checked: Checked) -> bool:
    """Is it certain that nothing is in the way of its outputs? Others come first: whether they are
    results that are known already is told without work, and if not, they are refused before any
    other variation has cost some."""
    targets = checked.targets.values()
    return all(t.overwrite or t.numbered or not os.path.lexists(t.path) for t in targets)
