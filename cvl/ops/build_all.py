"""Build what an example needs: its own image, or those of its steps."""

from __future__ import annotations

from cvl.core.manifest import ModelManifest
from cvl.ops.build import Image, context_of, ensure_image
from cvl.ops.engines import models_of, session_for
from cvl.ops.examples import Catalog, Example
from cvl.ops.reap import reap_quietly
from cvl.ops.session import Session


def build_example(session: Session, catalog: Catalog, example: Example) -> dict[str, Image]:
    """Image by example name; an unchanged example builds nothing. Of a choice, the example that is
    chosen by default: another may be many gigabytes, and is built when it is first used."""
    models = models_of(catalog, example, by_default=True)
    reap_quietly(session)
    images: dict[str, Image] = {}
    for name, model in models.items():
        manifest = model.manifest
        assert isinstance(manifest, ModelManifest)
        session.cancel.check()
        chosen = session_for(session, model, manifest)
        context = context_of(chosen, manifest, model.folder)
        images[name] = ensure_image(chosen, manifest, context, name)
        session.report.phase(name, "done", images[name].tag)
    return images
