"""A node of a run: one model, or a pipeline of nodes (ops/pipeline.py). Both take values and give
outputs, so they nest."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvl.core.manifest import Manifest, ModelManifest
from cvl.core.plan import OutputRequest, Placement, StagedFile, StepSpec
from cvl.core.redaction import given_secrets
from cvl.ops.authorities import proxies
from cvl.ops.build import context_of
from cvl.ops.engines import session_for
from cvl.ops.examples import Catalog, Example
from cvl.ops.inputs import Inputs
from cvl.ops.kept import keep_step
from cvl.ops.ladder import ladder_for, run_ladder
from cvl.ops.place import check_memory, choose_gpus, make_spec
from cvl.ops.request import Options
from cvl.ops.session import Session, inside_folder
from cvl.ops.step import StepContext, StepResult, this_user
from cvl.ops.weights.step import StepWeights
from cvl.store.dirs import make_private
from cvl.store.outputs import Produced
from cvl.store.staging import CheckedFile


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
    named: frozenset[str] = frozenset()
    """Inputs that the user gave; the others have their defaults, or what a pipeline says."""

    @property
    def manifest(self) -> Manifest:
        return self.example.manifest

    def lookup(self, name: str) -> Manifest:
        return self.catalog.find(name).manifest


@dataclass(frozen=True)
class Fallback:
    """A step that `used` another example than the `wanted` one; `code` and `why` are of the error
    that led to it."""

    step: str
    wanted: str
    used: str
    code: str
    why: str

    @property
    def text(self) -> str:
        return f"{self.step}: {self.used} takes over from {self.wanted}: {self.why}"


@dataclass(frozen=True)
class NodeResult:
    """Outputs of a node, the results of the steps in it by step name, and the content of the files
    that they were given."""

    outputs: dict[str, Produced]
    steps: dict[str, StepResult]
    files: dict[CheckedFile, StagedFile] = field(default_factory=dict)
    fallbacks: tuple[Fallback, ...] = ()


def run_model(
    session: Session,
    node: Node,
    manifest: ModelManifest,
    work: Path,
    before_work: Callable[[], None],
) -> NodeResult:
    """Run a model below the private folder `work`."""
    if node.options.commercial:
        from cvl.ops.commercial import check_node

        check_node(node)
    session = session_for(session, node.example, manifest)
    folder = make_private(work / node.step)
    build = context_of(session, manifest, node.example.folder)
    gpus = choose_gpus(session, manifest, node.options.gpus)
    check_memory(session, manifest.resources)
    ladder = ladder_for(session, manifest, node.values, node.options.offload, gpus)
    files = Inputs(session, make_private(folder / "inputs"))
    weights = StepWeights(session, manifest, node.values, node.options)
    spec = make_spec(
        session, node, manifest, build.digest, gpus, ladder.start, files, weights.identities
    )
    uid, gid, groups = this_user()
    jit = session.dirs.jit / f"{manifest.name}-{build.digest[:20]}-{gpus.arch}"
    secrets = given_secrets(manifest.secrets, os.environ)
    placement = Placement(
        node.run, uid, gid, groups, str(folder), str(inside_folder()), str(jit),
        ca_bundle=session.ca_bundle if manifest.network else "",
        proxies=proxies() if manifest.network else {}, has_secrets=bool(secrets),
    )  # fmt: skip
    logs = make_private(session.dirs.runs / node.run)
    keep_step(logs, node.values, spec, placement, node.options)
    context = StepContext(
        manifest=manifest,
        build=build,
        gpus=gpus.wanted,
        secrets=secrets,
        log=logs / f"{node.step}.log",
        use_cache=node.options.use_cache,
        before_work=in_order(weights.check, before_work, files.copy, weights.tell_license),
        license=weights.license,
        weights=weights.get,
    )
    result = run_ladder(session, ladder, spec, placement, context)
    return NodeResult(result.outputs, {node.step: result}, _contents(node, spec))


def in_order(*actions: Callable[[], None]) -> Callable[[], None]:
    """One action after the other, as one."""

    def all_of_them() -> None:
        for action in actions:
            action()

    return all_of_them


def _contents(node: Node, spec: StepSpec) -> dict[CheckedFile, StagedFile]:
    """Of every file that was staged for a step, what its private copy holds."""
    found: dict[CheckedFile, StagedFile] = {}
    for name, value in node.values.items():
        staged = spec.inputs[name]
        pairs = zip(value, staged, strict=True) if isinstance(value, list) else [(value, staged)]
        found.update((v, s) for v, s in pairs if isinstance(v, CheckedFile))
    return found
