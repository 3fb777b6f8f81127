"""When another example may take over a step: what the machine cannot do, never what the user got
wrong, and never behind the back of a user who named the example."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from cvl.core.graph import candidates, used_by
from cvl.core.manifest import PipelineManifest, Step
from cvl.core.references import parse_reference
from cvl.errors import CvlError, DiskFullError, EnvironmentFault, MemoryFault, WeightsError
from cvl.ops.node import Node

FALLS_BACK = (EnvironmentFault, WeightsError, MemoryFault, DiskFullError)
"""No GPU, engine, memory, weights or disk. Bad input, a failed program or a bad output would be the
same with any example, or would hide a defect."""


def may_run(node: Node, pipeline: PipelineManifest, step: Step) -> list[str]:
    """Examples for a step, in order: the one that it uses, and what may take over here."""
    if is_held(node, step):
        return used_by(pipeline, step, node.values)
    return candidates(pipeline, step, node.values)


def is_held(node: Node, step: Step) -> bool:
    """Did the user name the example, without --fallback?"""
    reference = parse_reference(step.uses)
    return bool(reference and reference[1] in node.named and not node.options.fallback)


def named_within(node: Node, step: Step, options: Mapping[str, Any]) -> frozenset[str]:
    """Inputs of a step that the user gave: as its options, or through the pipeline's own."""
    handed_on = {
        key
        for key, value in step.with_.items()
        if (reference := parse_reference(value)) and reference[0] == "inputs"
        if reference[1] in node.named
    }
    return frozenset(options) | handed_on


def with_offer(error: CvlError, node: Node, step: Step) -> CvlError:
    """`error`, with --fallback offered where that would have helped."""
    if not step.fallback or not is_held(node, step):
        return error
    offered = copy.copy(error)
    also = f"or give --fallback to let {' or '.join(step.fallback)} take over"
    offered.hint = f"{error.hint}; {also}" if error.hint else also.removeprefix("or ")
    return offered
