"""Before the first step of a pipeline starts: has this machine what every step needs? A GPU that is
missing is told now, not after an hour of other steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cvl.core.given import Names, having, inner_has, running
from cvl.core.manifest import ModelManifest, PipelineManifest, Resources, Step
from cvl.errors import CvlError, UserError
from cvl.machine.gpus import Gpu, has_metal, read_gpus
from cvl.ops.commercial import check_node
from cvl.ops.engines import session_for
from cvl.ops.fallback import FALLS_BACK, may_run, named_within, with_offer
from cvl.ops.known import inner_values, known_value
from cvl.ops.node import Node
from cvl.ops.place import check_memory, select_gpus
from cvl.ops.session import Session
from cvl.ops.weights.step import StepWeights


@dataclass(frozen=True)
class _Machine:
    session: Session
    gpus: Callable[[], list[Gpu]]


def admit(session: Session, node: Node) -> None:
    """Raise GpuError or EngineError, naming the step, when neither the example of a step nor one
    that may take over can run here."""
    manifest = node.manifest
    assert isinstance(manifest, PipelineManifest)
    _admit_pipeline(_Machine(session, cache(read_gpus)), node, manifest, having(node.values))


def _admit_pipeline(machine: _Machine, node: Node, manifest: PipelineManifest, has: Names) -> None:
    for name, step in running(manifest, has).steps.items():
        _admit_step(machine, node, manifest, has, name, step)


def _admit_step(
    machine: _Machine, node: Node, manifest: PipelineManifest, has: Names, name: str, step: Step
) -> None:
    """One of the examples has to do. Which one a step uses may be known later only, when it comes
    with an item: then each that it may be."""
    first: CvlError | None = None
    for example in may_run(node, manifest, step):
        inner = _inner(node, name, step, example)
        if _is_refused(inner):
            continue
        try:
            options = node.overrides.get(name, {})
            _admit(machine, inner, inner_has(inner.manifest, step, has, options))
        except FALLS_BACK as error:
            first = first or error
        else:
            return
    if first is not None:
        raise with_offer(first, node, step)


def _is_refused(node: Node) -> bool:
    """Does --commercial keep this example from taking over?"""
    try:
        check_node(node)
    except UserError:
        return True
    return False


def _admit(machine: _Machine, node: Node, has: Names) -> None:
    manifest = node.manifest
    if isinstance(manifest, PipelineManifest):
        _admit_pipeline(machine, node, manifest, has)
        return
    try:
        session = session_for(machine.session, node.example, manifest)
        _admit_model(replace(machine, session=session), manifest, node.options.gpus)
        if manifest.weights:
            StepWeights(session, manifest, node.values, node.options).check()
    except CvlError as error:
        named = copy.copy(error)
        named.message = f"{node.step} ({manifest.name}): {error.message}"
        named.args = (named.message,)
        raise named from None


def _admit_model(machine: _Machine, manifest: ModelManifest, asked: str | None) -> None:
    _admit_gpu(machine, manifest.resources, asked)
    check_memory(machine.session, manifest.resources)


def _admit_gpu(machine: _Machine, needs: Resources, asked: str | None) -> None:
    if needs.gpu == "none" or asked == "none" or (machine.session.is_host and has_metal()):
        return
    gpus = machine.gpus()
    if gpus or needs.gpu == "required" or asked is not None:
        select_gpus(needs, asked, gpus)


def _inner(node: Node, name: str, step: Step, used: str) -> Node:
    """A step's node as far as it is known now."""
    example = node.catalog.find(used)
    options: Mapping[str, Any] = node.overrides.get(name, {})
    given = {key: known_value(value, step, node.values) for key, value in step.with_.items()}
    full_name = f"{node.prefix}{name}"
    return replace(
        node,
        example=example,
        step=full_name,
        prefix=f"{full_name}.",
        values=inner_values(example.manifest, {**given, **options}),
        overrides={},
        named=named_within(node, step, options),
    )
