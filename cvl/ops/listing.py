"""The examples within reach, one row each; a broken manifest is a row like any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cvl.core.manifest import Manifest, ModelManifest
from cvl.errors import CvlError
from cvl.ops.examples import MANIFEST, Catalog, Example
from cvl.store.dirs import find_dirs
from cvl.store.manifest_index import ManifestIndex, Summary


@dataclass(frozen=True)
class Entry:
    """One example. `summary` is None when the manifest is broken; `error` and `hint` say why."""

    name: str
    folder: Path
    source: str
    summary: Summary | None
    error: str = ""
    hint: str = ""


def list_examples(catalog: Catalog) -> list[Entry]:
    """Every example by name. Reads only; a state folder that cannot be used does not matter."""
    index = _index()
    entries = [_entry(catalog.examples[name], index) for name in sorted(catalog.examples)]
    if index is not None:
        index.save()
    return entries


def _index() -> ManifestIndex | None:
    try:
        return ManifestIndex(find_dirs().cache / "manifests.json")
    except CvlError:
        return None


def _entry(example: Example, index: ManifestIndex | None) -> Entry:
    path = example.folder / MANIFEST
    known = index.get(path) if index is not None else None
    if known is not None:
        return Entry(example.name, example.folder, example.source, known)
    try:
        summary = _summary(example.manifest)
    except CvlError as error:
        told = error.message, error.hint
        return Entry(example.name, example.folder, example.source, None, *told)
    if index is not None:
        index.put(path, summary)
    return Entry(example.name, example.folder, example.source, summary)


def _summary(manifest: Manifest) -> Summary:
    gpu, vram_gb = "", 0.0
    if isinstance(manifest, ModelManifest):
        gpu, vram_gb = manifest.resources.gpu, manifest.resources.vram_gb
    return Summary(manifest.kind, manifest.tasks, gpu, vram_gb, manifest.summary)
