"""Runs a pipeline: steps as soon as what they need is there, side by side where they can, a step
per item of a foreach, and what may take over where the machine cannot run what was wanted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from cvl.core.given import having, running
from cvl.core.graph import candidates, dependencies, used_by
from cvl.core.manifest import ModelManifest, PipelineManifest, Step
from cvl.core.plan import StagedFile
from cvl.errors import Cancelled, CvlError, TargetExistsError, UserError
from cvl.ops.admission import admit
from cvl.ops.commercial import check_node
from cvl.ops.fallback import FALLS_BACK, is_held, with_offer
from cvl.ops.items import Item
from cvl.ops.node import Fallback, Node, NodeResult, run_model
from cvl.ops.session import Session
from cvl.ops.step import StepResult
from cvl.ops.wiring import Made, Wiring
from cvl.store.atomic import remove_tree
from cvl.store.staging import CheckedFile

OF_THE_RUN = (Cancelled, TargetExistsError)


def run_node(
    session: Session, node: Node, work: Path, before_work: Callable[[], None]
) -> NodeResult:
    """Run a model, or the steps of a pipeline, below the private folder `work`."""
    if isinstance(node.manifest, ModelManifest):
        return run_model(session, node, node.manifest, work, before_work)
    admit(session, node)
    manifest = running(node.manifest, having(node.values))
    return _Pipeline(session, node, manifest, work, before_work).run()


@dataclass(frozen=True)
class _Done:
    """A finished step: an output of a foreach is a list."""

    outputs: dict[str, Made]
    results: tuple[NodeResult, ...]


class _Pipeline:
    def __init__(
        self,
        session: Session,
        node: Node,
        manifest: PipelineManifest,
        work: Path,
        before_work: Callable[[], None],
    ) -> None:
        self.session, self.node, self.manifest, self.work = session, node, manifest, work
        self.before_work = _locked(before_work)
        self.made: dict[str, dict[str, Made]] = {}
        self.wiring = Wiring(node, manifest, self.made)
        self.steps: dict[str, StepResult] = {}
        self.fallbacks: list[Fallback] = []
        self.files: dict[CheckedFile, StagedFile] = {}
        self.failed = threading.Event()

    def run(self) -> NodeResult:
        """All steps; the first failure ends those that have not started and is raised."""
        waiting = {name: dependencies(step) for name, step in self.manifest.steps.items()}
        running: dict[Future[_Done], str] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(waiting))) as pool:
            while waiting or running:
                for name in [n for n, needs in waiting.items() if needs <= self.made.keys()]:
                    del waiting[name]
                    running[pool.submit(self._run_step, name)] = name
                finished = _first_done(running)
                for future in finished:
                    name = running.pop(future)
                    try:
                        self._take(name, future.result())
                    except BaseException:
                        self._stop_the_others(running)
                        raise
        return NodeResult(self.wiring.outputs(), self.steps, self.files, tuple(self.fallbacks))

    def _take(self, name: str, done: _Done) -> None:
        self.made[name] = done.outputs
        for result in done.results:
            self.steps.update(result.steps)
            self.fallbacks += result.fallbacks
            self.files.update(result.files)

    def _stop_the_others(self, running: dict[Future[_Done], str]) -> None:
        """Those that wait to start are dropped; those that run go on to their end, which keeps
        their results for the next try."""
        self.failed.set()
        for future in running:
            future.cancel()

    def _run_step(self, name: str) -> _Done:
        step = self.manifest.steps[name]
        if step.foreach:
            return self._run_items(name, step)
        result = self._run_one(name, step, None)
        return _Done(dict(result.outputs), (result,))

    def _run_items(self, name: str, step: Step) -> _Done:
        """A step per item. One that fails does not end the others: their results are kept, so that
        the next try is about the failed ones alone."""
        items = self.wiring.items(step)
        with ThreadPoolExecutor(max_workers=max(1, min(step.at_once, len(items)))) as pool:
            futures = [pool.submit(self._run_item, name, step, item) for item in items]
        _raise_failures(self.wiring.full_name(name, None), items, futures)
        results = tuple(future.result() for future in futures)
        example = self.node.catalog.find(used_by(self.manifest, step, self.node.values)[0])
        fields = self.wiring.wanted(name, example)
        return _Done({field: [r.outputs[field] for r in results] for field in fields}, results)

    def _run_item(self, name: str, step: Step, item: Item) -> NodeResult:
        self.session.cancel.check()
        if self.failed.is_set():
            raise CvlError("not started: another step failed", code="not_started")
        try:
            return self._run_one(name, step, item)
        except CvlError as error:
            if not isinstance(error, OF_THE_RUN):
                full_name = self.wiring.full_name(name, item)
                self.session.report.phase(full_name, "failed", error.message)
            raise

    def _run_one(self, name: str, step: Step, item: Item | None) -> NodeResult:
        wanted, *others = candidates(self.manifest, step, self.node.values)
        try:
            return self._run_example(self.wiring.node_of(name, wanted, item))
        except FALLS_BACK as error:
            if not others:
                raise
            if is_held(self.node, step):
                raise with_offer(error, self.node, step) from error
            result = self._fall_back(name, item, wanted, others, error)
            if result is None:
                raise
            return result

    def _run_example(self, node: Node) -> NodeResult:
        return run_node(self.session, node, self.work, self.before_work)

    def _fall_back(
        self, name: str, item: Item | None, wanted: str, others: list[str], error: CvlError
    ) -> NodeResult | None:
        """The result of the first that can take over; None when none can, and then what the user
        has to mend is what stood in the way of the one that was wanted."""
        full_name = self.wiring.full_name(name, item)
        for other in others:
            try:
                node = self.wiring.node_of(name, other, item)
                check_node(node)
            except UserError as refused:
                self._tell_unfit(full_name, other, refused)
                continue
            taken = Fallback(full_name, wanted, other, error.code, error.message)
            self.session.report.warning(taken.text)
            self._clear(full_name)
            try:
                result = self._run_example(node)
            except FALLS_BACK as unfit:
                self._tell_unfit(full_name, other, unfit)
                continue
            return replace(result, fallbacks=(taken, *result.fallbacks))
        return None

    def _tell_unfit(self, step: str, other: str, error: CvlError) -> None:
        self.session.report.warning(f"{step}: {other} cannot take over: {error.message}")

    def _clear(self, full_name: str) -> None:
        """What an earlier try staged for this step, and for the steps in it."""
        for folder in [self.work / full_name, *self.work.glob(f"{full_name}.*")]:
            with contextlib.suppress(OSError):
                remove_tree(folder)


def _raise_failures(step: str, items: list[Item], futures: list[Future[NodeResult]]) -> None:
    """The first failure by item, with the others named in it; what is about the whole run, and what
    is no error of ours, before everything else."""
    failed = [(i, e) for i, f in zip(items, futures, strict=True) if (e := f.exception())]
    for _, error in failed:
        if isinstance(error, OF_THE_RUN) or not isinstance(error, CvlError):
            raise error
    if not failed:
        return
    (item, error), *others = failed
    assert isinstance(error, CvlError)
    more = ""
    if others:
        shown = ", ".join(str(other.index) for other, _ in others[:10])
        more = f" (item{'s' if len(others) > 1 else ''} {shown} failed too)"
        more = more if len(others) <= 10 else f" ({len(others)} other items failed too)"
    raise item.named(error, step, more) from error


def _first_done(running: dict[Future[_Done], str]) -> set[Future[_Done]]:
    """Wait in short turns: a wait without a timeout would keep signals from being handled."""
    while True:
        done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        if done:
            return done


def _locked(function: Callable[[], None]) -> Callable[[], None]:
    """Steps run in threads; the caller's guard is asked by one at a time."""
    lock = threading.Lock()

    def call() -> None:
        with lock:
            function()

    return call
