"""Check manifests as far as that goes without an engine: file, graph, and what lies beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvl.core.dockerfile import secret_names
from cvl.core.graph import check_graph
from cvl.core.manifest import Manifest, ModelManifest, PipelineManifest
from cvl.errors import CvlError, ManifestError, UserError
from cvl.ops.context import base_image_of, read_context
from cvl.ops.examples import MANIFEST, Catalog, Example, example_folders


@dataclass(frozen=True)
class Verdict:
    """One manifest; `error` starts with `file:line:`, and is empty when the manifest is good."""

    name: str
    folder: str
    error: str
    hint: str

    @property
    def good(self) -> bool:
        return not self.error


def chosen(catalog: Catalog, words: Sequence[str]) -> list[Example]:
    """The examples that `words` name, by name or by path; all within reach when there are none."""
    if not words:
        if not catalog.examples:
            raise UserError(
                "there are no examples here",
                hint="name one: cvl validate FOLDER; or give --examples DIR",
                code="no_examples",
            )
        return [catalog.examples[name] for name in sorted(catalog.examples)]
    found: dict[Path, Example] = {}
    for word in words:
        for example in _named(catalog, word):
            found.setdefault(example.folder, example)
    return list(found.values())


def _named(catalog: Catalog, word: str) -> list[Example]:
    path = Path(word)
    if path.name == MANIFEST and path.is_file():
        path = path.parent
    looks_like_path = os.sep in word or word in (".", "..") or path != Path(word)
    if not looks_like_path and (word in catalog.examples or not path.is_dir()):
        return [catalog.find(word)]
    if not path.is_dir():
        raise UserError(f"there is no folder {word}", code="no_examples")
    folders = sorted(folder.resolve() for folder in example_folders(path))
    if not folders:
        raise UserError(
            f"{word} holds no {MANIFEST}", hint="name the folder of an example", code="no_examples"
        )
    return [Example(folder.name, folder, "path") for folder in folders]


def check_example(catalog: Catalog, example: Example) -> Verdict:
    """Everything that can be known of one example without running it."""
    try:
        _check(catalog, example)
    except CvlError as error:
        return Verdict(example.name, str(example.folder), error.message, error.hint)
    return Verdict(example.name, str(example.folder), "", "")


def _check(catalog: Catalog, example: Example) -> None:
    manifest = example.manifest

    def lookup(name: str) -> Manifest:
        return manifest if name == example.name else catalog.find(name).manifest

    if isinstance(manifest, PipelineManifest):
        check_graph(manifest, example.document, lookup)
    else:
        _check_context(manifest, example)
    _check_samples(manifest, example)


def _check_context(manifest: ModelManifest, example: Example) -> None:
    """What a build would refuse, said with the manifest's name in front."""
    engines = [e for e in manifest.engines if not (manifest.image and e == "docker")]
    try:
        dockerfile = example.folder / "Dockerfile"
        if engines and dockerfile.is_file():
            base_image_of(example.folder, "")
            _check_dockerfile(example, dockerfile)
        for engine in engines:
            read_context(manifest, example.folder, base_image="", base_identity="", engine=engine)
    except ManifestError as error:
        raise example.document.error((), error.message, error.hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise example.document.error((), f"a file of the image cannot be read: {error}") from None


def _check_dockerfile(example: Example, path: Path) -> None:
    for line, keyword, name in secret_names(path.read_text()):
        raise ManifestError(
            f"{path.name}:{line}: {keyword} {name} would be in the image for all to read",
            hint=f"name it under secrets: of {MANIFEST}; predict.py asks ctx.secret({name!r})",
        )


def _check_samples(manifest: Manifest, example: Example) -> None:
    for name, value in manifest.samples.items():
        if not manifest.inputs[name].is_file:
            continue
        for path in value if isinstance(value, list) else [value]:
            if not (example.folder / str(path)).exists():
                raise example.document.error(
                    ("samples", name), f"sample {name!r}: there is no file {path}"
                )
