"""Images and environments that an earlier state of an example left behind, and their compiled
kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cvl.core import owner as labels
from cvl.core.container import FoundImage
from cvl.core.manifest import ModelManifest
from cvl.errors import CvlError
from cvl.ops.build import context_of, tag_of
from cvl.ops.examples import Catalog
from cvl.ops.garbage import Item, Kind, Superseded
from cvl.ops.session import Session
from cvl.store.disk import children, tree_size


@dataclass(frozen=True)
class Current:
    """Contexts that examples within reach have now, and the names of those whose context cannot be
    read."""

    contexts: frozenset[str]
    broken: frozenset[str]


@dataclass(frozen=True)
class Images:
    """`superseded` may go. `kept`: contexts of the others, which stay whatever they take."""

    superseded: tuple[Superseded, ...]
    kept: frozenset[str]
    notes: tuple[str, ...]


def find_images(session: Session, catalog: Catalog) -> Images:
    """Tell images of earlier contexts of the examples within reach from all others of ours; what is
    an image of the venv engine is an environment."""
    images = session.engine.images({labels.EXAMPLE: "", labels.CONTEXT: ""})
    if session.is_host and not images:
        return Images((), frozenset(), ())
    kind: Kind = "environment" if session.is_host else "image"
    current = current_contexts(session, catalog)
    used = session.records.images_used() if session.dirs.database.exists() else {}
    superseded: list[Superseded] = []
    kept = set(current.contexts)
    foreign: set[str] = set()
    for image in images:
        example, context = image.labels[labels.EXAMPLE], image.labels[labels.CONTEXT]
        name = _own_name(session, image)
        if name is None or context in current.contexts or example in current.broken:
            kept.add(context)
        elif example not in catalog.examples:
            foreign.add(example)
            kept.add(context)
        else:
            item = Item(kind, name, image.size, f"{example} has changed since")
            superseded.append(Superseded(item, used.get(image.id, 0), context))
    return Images(tuple(superseded), frozenset(kept), _notes(kind, foreign, current.broken))


def _notes(kind: str, foreign: set[str], broken: frozenset[str]) -> tuple[str, ...]:
    notes = []
    if foreign:
        notes.append(f"{kind}s of examples that are not within reach: {', '.join(sorted(foreign))}")
    if broken:
        notes.append(f"{kind}s of broken examples: {', '.join(sorted(broken))}")
    return tuple(notes)


def _own_name(session: Session, image: FoundImage) -> str | None:
    """How to remove an image that cvl built: its one tag of ours, or its id when it has no tag and
    we remember building it. Labels are inherited by whatever is built upon an image of ours, so
    they alone do not make an image ours."""
    context = image.labels[labels.CONTEXT]
    tag = tag_of(image.labels[labels.EXAMPLE], context)
    if tag in image.tags:
        return tag
    if image.tags or not session.dirs.database.exists():
        return None
    return image.id if image.id in session.records.images_of(context) else None


def current_contexts(session: Session, catalog: Catalog) -> Current:
    """What a build of every example within reach would be called now."""
    contexts: set[str] = set()
    broken: set[str] = set()
    for example in catalog.examples.values():
        try:
            manifest = example.manifest
            if isinstance(manifest, ModelManifest) and _may_use(session, manifest):
                contexts.add(context_of(session, manifest, example.folder).digest)
        except (CvlError, OSError):
            broken.add(example.name)
    return Current(frozenset(contexts), frozenset(broken))


def _may_use(session: Session, manifest: ModelManifest) -> bool:
    return ("venv" if session.is_host else "docker") in manifest.engines


def kernels(session: Session, kept: Iterable[str]) -> Iterator[Item]:
    """Compiled kernels of images that are not among the contexts `kept`. Folders are called
    EXAMPLE-CONTEXT-ARCH; anything else in there is not ours."""
    begins = {context[:20] for context in kept}
    for path in children(session.dirs.jit):
        parts = path.name.rsplit("-", 2)
        if len(parts) == 3 and len(parts[1]) == 20 and parts[1] not in begins:
            yield Item("jit", path.name, tree_size(path), "its image is gone")
