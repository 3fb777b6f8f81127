"""Everything that is known of an example without an engine."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from cvl.core.graph import check_graph, output_spec, used_by
from cvl.core.manifest import (
    InputSpec,
    License,
    Manifest,
    ModelManifest,
    OffloadRung,
    OutputSpec,
    PipelineManifest,
    Resources,
    Source,
    Weights,
)
from cvl.errors import CvlError
from cvl.ops.build import tag_of
from cvl.ops.context import base_image_of, read_context, source_of
from cvl.ops.examples import Catalog, Example
from cvl.store.dirs import find_dirs
from cvl.store.trust import approved


@dataclass(frozen=True)
class StepInfo:
    """A step of a pipeline: the examples it may use, what it is given, the items that it runs
    for, what may take over, and the inputs that stand for its outputs (`unless`)."""

    name: str
    uses: tuple[str, ...]
    given: dict[str, Any]
    foreach: dict[str, str]
    fallback: tuple[str, ...]
    unless: dict[str, str]


@dataclass(frozen=True)
class ModelInfo:
    """What only a model has. `image`: its tag; None while only the engine can tell. `trust`: in
    words, whether it may run."""

    license: License
    upstream: Source
    weights: tuple[Weights, ...]
    resources: Resources
    offload: tuple[OffloadRung, ...]
    dtypes: tuple[str, ...]
    engines: tuple[str, ...]
    trust: str
    network: bool
    cache: str
    secrets: tuple[str, ...]
    image: str | None


@dataclass(frozen=True)
class Info:
    """An example. `model` is None for a pipeline, `steps` is empty for a model."""

    name: str
    kind: str
    summary: str
    tasks: tuple[str, ...]
    folder: str
    source: str
    inputs: dict[str, InputSpec]
    outputs: dict[str, OutputSpec]
    samples: dict[str, Any]
    model: ModelInfo | None
    steps: tuple[StepInfo, ...]


def describe(catalog: Catalog, example: Example, base_image: str) -> Info:
    """Read and check the example; ManifestError when it is broken. Nothing is built or written."""
    manifest = example.manifest

    def lookup(name: str) -> Manifest:
        return catalog.find(name).manifest

    if isinstance(manifest, PipelineManifest):
        check_graph(manifest, example.document, lookup)
    return Info(
        name=manifest.name,
        kind=manifest.kind,
        summary=manifest.summary,
        tasks=manifest.tasks,
        folder=str(example.folder),
        source=example.source,
        inputs=manifest.inputs,
        outputs={name: output_spec(manifest, name, lookup) for name in manifest.outputs},
        samples=manifest.samples,
        model=_model(manifest, example, base_image),
        steps=_steps(manifest),
    )


def _model(manifest: Manifest, example: Example, base_image: str) -> ModelInfo | None:
    if not isinstance(manifest, ModelManifest):
        return None
    return ModelInfo(
        license=manifest.license,
        upstream=manifest.source,
        weights=manifest.weights,
        resources=manifest.resources,
        offload=manifest.offload,
        dtypes=manifest.dtypes,
        engines=manifest.engines,
        trust=_trust(manifest, example),
        network=manifest.network,
        cache=manifest.cache,
        secrets=manifest.secrets,
        image=image_tag(manifest, example, base_image),
    )


def _trust(manifest: ModelManifest, example: Example) -> str:
    if example.trusted:
        return "trusted"
    with contextlib.suppress(CvlError, OSError):
        given = approved(find_dirs(), example.folder, source_of(manifest, example.folder))
        if given is not None:
            date = time.strftime("%Y-%m-%d", time.localtime(given))
            return f"trusted in containers, with --trust on {date}"
    return "not trusted: it was found where you work; --trust runs it"


def _steps(manifest: Manifest) -> tuple[StepInfo, ...]:
    if not isinstance(manifest, PipelineManifest):
        return ()
    return tuple(
        StepInfo(
            name=name,
            uses=tuple(used_by(manifest, step, None)),
            given=step.with_,
            foreach=step.foreach,
            fallback=step.fallback,
            unless=step.given,
        )
        for name, step in manifest.steps.items()
    )


def image_tag(manifest: ModelManifest, example: Example, base_image: str) -> str | None:
    """The tag of the example's image, when its base is pinned by digest or there is none: the local
    id of any other base is part of the tag, and only the engine knows that."""
    if manifest.image:
        return manifest.image
    try:
        base = base_image_of(example.folder, base_image)
        if base and "@sha256:" not in base:
            return None
        context = read_context(manifest, example.folder, base_image=base, base_identity=base)
    except (CvlError, OSError, ValueError):
        return None
    return tag_of(manifest.name, context.digest)
