"""One run of an example, from a checked request to published files: models and pipelines alike."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cvl.core.manifest import ModelManifest
from cvl.core.names import canonical
from cvl.core.provenance import Provenance, encode
from cvl.disks import full_disk, is_full
from cvl.errors import Cancelled, CvlError, StateError
from cvl.ops.engines import check_engines
from cvl.ops.examples import Catalog
from cvl.ops.node import Fallback, Node, NodeResult, run_model
from cvl.ops.provenance import provenance_of
from cvl.ops.reap import reap_quietly
from cvl.ops.request import Checked, Request, check_request, new_run_id
from cvl.ops.session import Session
from cvl.ops.step import StepResult
from cvl.store.atomic import remove_tree
from cvl.store.dirs import make_private
from cvl.store.locks import FileLock
from cvl.store.numbering import Published, publish_all
from cvl.store.publishing import finish
from cvl.store.records import CANCELLED, FAILED, OK
from cvl.store.targets import refuse_existing, remove_staging


@dataclass(frozen=True)
class RunResult:
    """A finished run. outputs: name -> absolute path; unchanged: outputs that were there already,
    byte for byte."""

    run: str
    example: str
    seed: int
    outputs: dict[str, str]
    unchanged: tuple[str, ...]
    steps: dict[str, StepResult]
    seconds: float
    log: str
    warnings: list[str] = field(default_factory=list)
    sidecars: dict[str, str] = field(default_factory=dict)
    fallbacks: tuple[Fallback, ...] = ()

    @property
    def degraded(self) -> bool:
        """Did another example make a part of it than the one that was wanted?"""
        return bool(self.fallbacks)


def run_checked(session: Session, checked: Checked, verb: str, node: Node) -> RunResult:
    """Run and publish. On every way out nothing of the run is left but its record and its log."""
    started = time.monotonic()
    with _recorded(session, checked, verb) as note:
        reap_quietly(session)
        work = make_private(session.dirs.work / checked.run)
        result = _run(session, node, work, _guard(session, checked))
        session.cancel.check()
        made_by = provenance_of(checked, result, _seed(checked, result))
        published = _publish(session, checked, result, made_by)
        outputs = {name: str(place.target.path) for name, place in published.items()}
        note(outputs)
        seconds = time.monotonic() - started
        sidecars: dict[str, str] = {}
        if checked.request.options.sidecar:
            from cvl.ops.sidecars import write_sidecars

            sidecars = write_sidecars(checked.run, published, result, made_by, seconds)
    return RunResult(
        run=checked.run,
        example=checked.manifest.name,
        seed=_seed(checked, result),
        outputs=outputs,
        unchanged=tuple(name for name, place in published.items() if not place.written),
        steps=result.steps,
        seconds=time.monotonic() - started,
        log=str(run_folder(session, checked.run)),
        warnings=_warnings(result),
        fallbacks=result.fallbacks,
        sidecars=sidecars,
    )


def _run(session: Session, node: Node, work: Path, before_work: Callable[[], None]) -> NodeResult:
    """What only pipelines need is not loaded for a model."""
    if isinstance(node.manifest, ModelManifest):
        return run_model(session, node, node.manifest, work, before_work)
    from cvl.ops.pipeline import run_node

    return run_node(session, node, work, before_work)


def _warnings(result: NodeResult) -> list[str]:
    taken = [fallback.text for fallback in result.fallbacks]
    return taken + [text for step in result.steps.values() for text in step.warnings]


def run_folder(session: Session, run: str) -> Path:
    """Logs of a run: one file per step."""
    return session.dirs.runs / run


def _seed(checked: Checked, result: NodeResult) -> int:
    """The seed that made what was published. When any would do, that of one and the same step, so
    that runs which share results say the same of them."""
    if checked.request.options.seed is not None or not result.steps:
        return checked.seed
    return result.steps[min(result.steps)].seed


def _guard(session: Session, checked: Checked) -> Callable[[], None]:
    """What is asked once it is known that there is work to do: hours of it may be in vain."""

    def refuse() -> None:
        for target in checked.targets.values():
            if not target.numbered:
                refuse_existing(target)
            if is_full(target.path.parent):
                raise full_disk(target.path.parent, "give another --output")
        if is_full(session.dirs.cache):
            raise full_disk(session.dirs.cache)

    return refuse


def _publish(
    session: Session, checked: Checked, result: NodeResult, made_by: dict[str, Provenance]
) -> dict[str, Published]:
    for name in checked.targets:
        if not result.outputs[name].path.exists():
            raise StateError(f"the result {name!r} was removed meanwhile", hint="run it again")
    finished = {
        name: finish(result.outputs[name], encode(made_by[name])) for name in checked.targets
    }
    sidecars = checked.request.options.sidecar
    return publish_all(finished, checked.targets, session.cancel.check, sidecars=sidecars)


@contextlib.contextmanager
def _recorded(
    session: Session, checked: Checked, verb: str
) -> Iterator[Callable[[dict[str, str]], None]]:
    """The record says `running` before anything exists, and how it ended after everything is gone.
    The run's lock is taken first: a reaper that sees the record sees the lock held."""
    lock = _begin(session, checked, verb)
    published: dict[str, str] = {}
    state, code, status, message = OK, "", 0, ""
    try:
        yield published.update
    except BaseException as error:
        state, code, status, message = _named(error)
        raise
    finally:
        _clean(checked, session)
        try:
            session.records.end(checked.run, state, status, code, message, published)
        except CvlError as error:
            session.report.warning(f"how the run ended is not written down: {error.message}")
        lock.path.unlink(missing_ok=True)
        lock.release()


def _begin(session: Session, checked: Checked, verb: str) -> FileLock:
    """Without a record, nothing else is there either."""
    folder, lock = run_folder(session, checked.run), session.run_lock(checked.run)
    scratch = [session.dirs.work / checked.run]
    scratch += [target.staging for target in checked.targets.values()]
    try:
        make_private(folder)
        lock.try_acquire()
        session.records.begin(checked.run, checked.manifest.name, verb, session.owner, scratch)
    except BaseException:
        lock.path.unlink(missing_ok=True)
        lock.release()
        remove_tree(folder)
        raise
    return lock


def _named(error: BaseException) -> tuple[str, str, int, str]:
    if isinstance(error, CvlError):
        state = CANCELLED if isinstance(error, Cancelled) else FAILED
        return state, error.code, error.status, error.message[:2000]
    return FAILED, "internal", 1, f"{type(error).__name__}: {error}"[:2000]


def _clean(checked: Checked, session: Session) -> None:
    for target in checked.targets.values():
        remove_staging(target.staging)
    with contextlib.suppress(OSError):
        remove_tree(session.dirs.work / checked.run)


def run_request(
    session: Session, catalog: Catalog, request: Request, verb: str = "predict"
) -> RunResult:
    """Check a request and run it; nothing is built or started when it makes no sense."""
    checked = check_request(catalog, request, new_run_id())
    return run_plan(session, catalog, checked, verb)


def run_plan(
    session: Session, catalog: Catalog, checked: Checked, verb: str = "predict"
) -> RunResult:
    """Run what was checked."""
    request = checked.request
    session.cancel.check()
    check_engines(session, catalog, request.example)
    node = Node(
        catalog=catalog,
        example=request.example,
        step=checked.manifest.name,
        values=checked.values,
        outputs=checked.outputs,
        options=request.options,
        seed=checked.seed,
        run=checked.run,
        overrides=request.overrides,
        named=frozenset(canonical(name) for name in request.inputs),
    )
    return run_checked(session, checked, verb, node)
