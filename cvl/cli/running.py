"""The verbs of `cvl run`, with signals and progress around them. What runs things is imported only
once it is known that the request makes sense: a bad one costs little."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvl.cli.terminal import Terminal
from cvl.core.plain import to_plain
from cvl.core.seeds import show_seeds
from cvl.errors import CvlError
from cvl.ops.examples import Catalog, Example
from cvl.ops.request import Options, Request, check_request, new_run_id

if TYPE_CHECKING:
    from cvl.ops.predict import RunResult
    from cvl.ops.session import Session
    from cvl.ops.variations import Outcome


@dataclass(frozen=True)
class Settings:
    """How a run is shown and built."""

    progress: str
    base_image: str
    build_network: str
    engine: str
    engine_named: bool
    trust: bool
    dry_run: bool
    explain: bool = False
    offline: bool = False
    ca_bundle: str = ""
    engine_wait_s: float = 0.0


@contextmanager
def _session(terminal: Terminal, settings: Settings) -> Iterator[Session]:
    """A session that listens to signals and reports progress."""
    from cvl.ops.authorities import check_bundle
    from cvl.ops.session import Session
    from cvl.store.dirs import own_dirs

    own_dirs()  # folders of no use to an engine, or another user's, are told before one is asked
    session = Session(
        base_image=settings.base_image,
        build_network=settings.build_network,
        wanted_engine=settings.engine,
        engine_named=settings.engine_named,
        trust=settings.trust,
        explain=settings.explain,
        offline=settings.offline,
        ca_bundle=check_bundle(settings.ca_bundle),
        patience_s=settings.engine_wait_s,
    )
    with attended(session, "quiet" if terminal.quiet else settings.progress):
        yield session


@contextmanager
def attended(session: Session, progress: str) -> Iterator[None]:
    """Signals end what the session does, and it reports its progress."""
    from cvl.cli.progress import make_report

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda number, frame: session.cancel.request(number))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with make_report(progress) as report:
        session.report = report
        yield


def build(terminal: Terminal, settings: Settings, catalog: Catalog, example: Example) -> int:
    """`cvl run X build`."""
    from cvl.ops.build_all import build_example

    with _session(terminal, settings) as session:
        images = build_example(session, catalog, example)
    data = [
        {"example": name, "image": image.id, "tag": image.tag, "built": image.built}
        for name, image in images.items()
    ]
    terminal.data({"images": data}, [image.tag for image in images.values()])
    return 0


def predict(terminal: Terminal, settings: Settings, catalog: Catalog, request: Request) -> int:
    """`cvl run X predict`."""
    checked = check_request(catalog, request, new_run_id())
    if settings.dry_run:
        from cvl.ops.dryrun import plan_of

        plan = plan_of(catalog, checked)
        terminal.data(plan.data, plan.lines)
        return 0
    from cvl.ops.predict import run_plan

    with _session(terminal, settings) as session:
        result = run_plan(session, catalog, checked)
    _tell(terminal, result)
    return 0


def _tell(terminal: Terminal, result: RunResult) -> None:
    _tell_unchanged(terminal, result)
    if not all(step.cached for step in result.steps.values()):
        terminal.message(f"{result.example}: {result.seconds:.1f} s, seed {result.seed}")
    terminal.data(run_data(result), list(result.outputs.values()))


def _tell_unchanged(terminal: Terminal, result: RunResult) -> None:
    for name in result.unchanged:
        terminal.message(f"{name}: the same bytes are there already")


def predict_variations(
    terminal: Terminal,
    settings: Settings,
    catalog: Catalog,
    request: Request,
    seeds: Sequence[int],
) -> int:
    """`cvl run X predict` with several seeds: exit 0 when all were made, else the first failure's
    own code; the paths of those that were made in any case."""
    from cvl.ops.variations import check_variations, run_variations

    variations = check_variations(catalog, request, seeds)
    if settings.dry_run:
        from cvl.ops.dryrun import plan_of_variations

        plan = plan_of_variations(catalog, variations)
        terminal.data(plan.data, plan.lines)
        return 0
    with _session(terminal, settings) as session:
        outcome = run_variations(session, catalog, variations)
    data = variations_data(outcome)
    error = outcome.error
    if error is None or not terminal.json:
        terminal.data(data, [p for r in outcome.done for p in r.outputs.values()])
    if error is not None:
        terminal.fail(error, data)
        return error.status
    made = sum(not all(step.cached for step in r.steps.values()) for r in outcome.done)
    known = len(outcome.done) - made
    terminal.message(
        f"{outcome.example}: {made} made, {known} known already, {outcome.seconds:.1f} s,"
        f" seeds {show_seeds([result.seed for result in outcome.done])}"
    )
    return 0


def variations_data(outcome: Outcome) -> dict[str, Any]:
    """Several runs as JSON data."""
    failed = [
        {
            "run": failure.run,
            "seed": failure.seed,
            "exit": failure.error.status,
            "error": {
                "code": failure.error.code,
                "message": failure.error.message,
                "hint": failure.error.hint,
            },
        }
        for failure in outcome.failed
    ]
    return {
        "example": outcome.example,
        "runs": [run_data(result) for result in outcome.done],
        "failed": failed,
        "not_started": list(outcome.left),
        "seconds": round(outcome.seconds, 3),
    }


def run_data(result: RunResult) -> dict[str, Any]:
    """A finished run as JSON data."""
    return {
        "run": result.run,
        "example": result.example,
        "seed": result.seed,
        "outputs": result.outputs,
        "unchanged": list(result.unchanged),
        "sidecars": result.sidecars,
        "seconds": round(result.seconds, 3),
        "log": result.log,
        "warnings": result.warnings,
        "degraded": result.degraded,
        "fallbacks": [to_plain(fallback) for fallback in result.fallbacks],
        "steps": {
            name: {
                "cached": step.cached,
                "key": step.key,
                "image": step.image,
                "seed": step.seed,
                "seconds": round(step.seconds, 3),
                "metrics": step.metrics,
                "offload": step.offload,
                "dtype": step.dtype,
                "attempts": [to_plain(attempt) for attempt in step.attempts],
                "license": to_plain(step.origin.license),
            }
            for name, step in result.steps.items()
        },
    }


def test(
    terminal: Terminal,
    settings: Settings,
    catalog: Catalog,
    example: Example,
    junit: Path,
    options: Options,
) -> int:
    """`cvl run X test`: exit 0 when it passed, the failure's own code when not; a JUnit file
    always."""
    from cvl.ops.selftest import run_selftest

    with _session(terminal, settings) as session:
        report = run_selftest(session, catalog, example, junit, options)
    data = {
        "example": example.name,
        "passed": report.failure is None,
        "seconds": round(report.seconds, 3),
        "junit": str(junit),
    }
    failure: CvlError | None = report.failure
    if failure is not None:
        terminal.fail(failure, data)
        return failure.status
    terminal.message(f"{example.name}: passed in {report.seconds:.1f} s")
    terminal.data(data, [str(junit)])
    return 0
