"""The examples within reach, one row each; a broken manifest is a row like any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cvl.core.manifest import Manifest, ModelManifest
from cvl.errors import CvlError
from cvl.ops.examples import Catalog, Example


@dataclass(frozen=True)
class Summary:
    """What a list shows of a manifest. gpu is empty for a pipeline: its steps decide."""

    kind: str
    tasks: tuple[str, ...]
    gpu: str
    vram_gb: float
    text: str


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
    """Every example by name."""
    return [_entry(catalog.examples[name]) for name in sorted(catalog.examples)]


def _entry(example: Example) -> Entry:
    place = example.name, example.folder, example.source
    try:
        return Entry(*place, _summary(example.manifest))
    except CvlError as error:
        return Entry(*place, None, error.message, error.hint)


def _summary(manifest: Manifest) -> Summary:
    gpu, vram_gb = "", 0.0
    if isinstance(manifest, ModelManifest):
        gpu, vram_gb = manifest.resources.gpu, manifest.resources.vram_gb
    return Summary(manifest.kind, manifest.tasks, gpu, vram_gb, manifest.summary)
