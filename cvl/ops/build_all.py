"""Build what an example needs: its own image, or every image its steps may use."""

from __future__ import annotations

from cvl.core.graph import candidates, check_graph
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest
from cvl.ops.build import Image, context_of, ensure_image
from cvl.ops.examples import Catalog, Example
from cvl.ops.reap import reap_quietly
from cvl.ops.session import Session


def build_example(session: Session, catalog: Catalog, example: Example) -> dict[str, Image]:
    """Image by example name; an unchanged example builds nothing."""
    models = models_of(catalog, example)
    reap_quietly(session)
    images: dict[str, Image] = {}
    for name, model in models.items():
        manifest = model.manifest
        assert isinstance(manifest, ModelManifest)
        session.cancel.check()
        context = context_of(session, manifest, model.folder)
        images[name] = ensure_image(session, manifest, context, name)
        session.report.phase(name, "done", images[name].tag)
    return images


def models_of(catalog: Catalog, example: Example) -> dict[str, Example]:
    """The models that an example may run, itself or the ones its steps name."""
    manifest = example.manifest
    if isinstance(manifest, ModelManifest):
        return {example.name: example}

    def lookup(name: str) -> Manifest:
        return catalog.find(name).manifest

    assert isinstance(manifest, PipelineManifest)
    check_graph(manifest, example.document, lookup)
    found: dict[str, Example] = {}
    for step in manifest.steps.values():
        for name in candidates(manifest, step, None):
            found.update(models_of(catalog, catalog.find(name)))
    return found
