"""A node of a run: one model, or a pipeline of nodes. Both take values and give outputs, so they
nest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cvl.core.graph import dependencies, output_spec, used_by
from cvl.core.inputs import resolve_inputs
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest
from cvl.core.plan import OutputRequest, Placement, StagedFile, StepSpec
from cvl.core.references import parse_reference
from cvl.ops.build import context_of
from cvl.ops.examples import Catalog, Example
from cvl.ops.place import choose_gpus, make_spec
from cvl.ops.request import Options, output_request, secrets_for
from cvl.ops.session import Session, inside_folder
from cvl.ops.step import StepContext, StepResult, run_step, this_user
from cvl.store.dirs import make_private
from cvl.store.outputs import Produced
from cvl.store.staging import CheckedFile, check_file, open_files


@dataclass(frozen=True)
class Node:
    """Something to run: an example with resolved values and the outputs that are wanted of it."""

    catalog: Catalog
    example: Example
    step: str
    values: dict[str, Any]
    outputs: dict[str, OutputRequest]
    options: Options
    seed: int
    run: str
    overrides: Mapping[str, Mapping[str, Any]]
    prefix: str = ""
    """Before the names of a pipeline's steps; only those of the outermost have none."""

    @property
    def manifest(self) -> Manifest:
        return self.example.manifest

    def lookup(self, name: str) -> Manifest:
        return self.catalog.find(name).manifest


@dataclass(frozen=True)
class NodeResult:
    """Outputs of a node, the results of the steps in it by step name, and the content of the files
    that they were given."""

    outputs: dict[str, Produced]
    steps: dict[str, StepResult]
    files: dict[CheckedFile, StagedFile]


def run_node(
    session: Session, node: Node, work: Path, before_work: Callable[[], None]
) -> NodeResult:
    """Run a model, or the steps of a pipeline, below the private folder `work`."""
    if isinstance(node.manifest, ModelManifest):
        return _run_model(session, node, node.manifest, work, before_work)
    return _Pipeline(session, node, node.manifest, work, before_work).run()


def _run_model(
    session: Session,
    node: Node,
    manifest: ModelManifest,
    work: Path,
    before_work: Callable[[], None],
) -> NodeResult:
    folder = make_private(work / node.step)
    build = context_of(session, manifest, node.example.folder)
    gpus = choose_gpus(session, manifest, node.options.gpus)
    spec = make_spec(session, node, manifest, build.digest, gpus, folder)
    uid, gid, groups = this_user()
    jit = session.dirs.jit / f"{manifest.name}-{build.digest[:20]}-{gpus.arch}"
    placement = Placement(node.run, uid, gid, groups, str(folder), str(inside_folder()), str(jit))
    logs = make_private(session.dirs.runs / node.run)
    context = StepContext(
        manifest=manifest,
        build=build,
        gpus=gpus.wanted,
        secrets=secrets_for(manifest, os.environ),
        log=logs / f"{node.step}.log",
        use_cache=node.options.use_cache,
        before_work=before_work,
    )
    result = run_step(session, spec, placement, context)
    return NodeResult(result.outputs, {node.step: result}, _contents(node, spec))


def _contents(node: Node, spec: StepSpec) -> dict[CheckedFile, StagedFile]:
    """Of every file that was staged for a step, what its private copy holds."""
    found: dict[CheckedFile, StagedFile] = {}
    for name, value in node.values.items():
        staged = spec.inputs[name]
        pairs = zip(value, staged, strict=True) if isinstance(value, list) else [(value, staged)]
        found.update((v, s) for v, s in pairs if isinstance(v, CheckedFile))
    return found


class _Pipeline:
    """Runs the steps of a pipeline as soon as what they need is there, side by side where they
    can."""

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
        self.made: dict[str, dict[str, Produced]] = {}
        self.steps: dict[str, StepResult] = {}
        self.files: dict[CheckedFile, StagedFile] = {}

    def run(self) -> NodeResult:
        """All steps; the first failure ends those that have not started and is raised."""
        waiting = {name: dependencies(step) for name, step in self.manifest.steps.items()}
        running: dict[Future[NodeResult], str] = {}
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
        return NodeResult(self._outputs(), self.steps, self.files)

    def _take(self, name: str, result: NodeResult) -> None:
        self.made[name] = result.outputs
        self.steps.update(result.steps)
        self.files.update(result.files)

    def _stop_the_others(self, running: dict[Future[NodeResult], str]) -> None:
        """Those that wait to start are dropped; those that run go on to their end, which keeps
        their
        results for the next try."""
        for future in running:
            future.cancel()

    def _run_step(self, name: str) -> NodeResult:
        node = self.node_of(name)
        return run_node(self.session, node, self.work, self.before_work)

    def node_of(self, name: str) -> Node:
        """The node of one step, with the values that earlier steps made."""
        step = self.manifest.steps[name]
        example = self.node.catalog.find(used_by(self.manifest, step, self.node.values)[0])
        given = {key: self._value(value) for key, value in step.with_.items()}
        given.update(self.node.overrides.get(name, {}))
        manifest = example.manifest
        checked = {k: v for k, v in given.items() if _is_checked(v)}
        plain = {k: v for k, v in given.items() if k not in checked}
        specs = {k: s for k, s in manifest.inputs.items() if k not in checked}
        values = resolve_inputs(specs, plain, manifest.name)
        values = {
            key: open_files(key, manifest.inputs[key], value) for key, value in values.items()
        }
        for key, value in checked.items():
            values[key] = _as_input(key, manifest, value)
        full_name = f"{self.node.prefix}{name}"
        return replace(
            self.node,
            example=example,
            step=full_name,
            prefix=f"{full_name}.",
            values=values,
            outputs=self._wanted(name, example),
            overrides={},
        )

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        reference = parse_reference(value)
        if reference is None:
            return value
        source, field = reference
        return self.node.values[field] if source == "inputs" else self.made[source][field]

    def _wanted(self, name: str, example: Example) -> dict[str, OutputRequest]:
        """Outputs of a step that something uses; what the pipeline gives out has its format."""
        final = {
            reference[1]: self.node.outputs[output]
            for output, value in self.manifest.outputs.items()
            if (reference := parse_reference(value)) and reference[0] == name
            if output in self.node.outputs
        }
        used = {
            field
            for step in self.manifest.steps.values()
            for value in step.with_.values()
            for item in (value if isinstance(value, list) else [value])
            if (reference := parse_reference(item)) and reference[0] == name
            for field in [reference[1]]
        }
        wanted = dict(final)
        for field in sorted(used - final.keys()):
            spec = output_spec(example.manifest, field, self.node.lookup)
            wanted[field] = output_request(field, spec, spec.default)
        return wanted

    def _outputs(self) -> dict[str, Produced]:
        outputs = {}
        for name in self.node.outputs:
            reference = parse_reference(self.manifest.outputs[name])
            assert reference is not None
            outputs[name] = self.made[reference[0]][reference[1]]
        return outputs


def _first_done(running: dict[Future[NodeResult], str]) -> set[Future[NodeResult]]:
    """Wait in short turns: a wait without a timeout would keep signals from being handled."""
    while True:
        done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        if done:
            return done


def _is_checked(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, CheckedFile | Produced) for item in items)


def _as_input(name: str, manifest: Manifest, value: Any) -> Any:
    """What an earlier step made, checked as an input like any other file."""
    if isinstance(value, list):
        return [_as_input(name, manifest, item) for item in value]
    if isinstance(value, Produced):
        checked = check_file(name, manifest.inputs[name], str(value.path))
        return replace(checked, extension=checked.extension or value.extension)
    return value


def _locked(function: Callable[[], None]) -> Callable[[], None]:
    """Steps run in threads; the caller's guard is asked by one at a time."""
    lock = threading.Lock()

    def call() -> None:
        with lock:
            function()

    return call
