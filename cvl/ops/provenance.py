"""What a run says of how it made its outputs: gathered once it is over."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import cvl
from cvl.core.manifest import Manifest, PipelineManifest
from cvl.core.plain import to_plain
from cvl.core.plan import StagedFile
from cvl.core.provenance import FileRef, Provenance
from cvl.ops.node import NodeResult
from cvl.ops.request import Checked
from cvl.store.folders import FolderError, measure
from cvl.store.staging import CheckedFile, digest_of

Files = Mapping[CheckedFile, StagedFile]


def provenance_of(checked: Checked, result: NodeResult, seed: int) -> dict[str, Provenance]:
    """The statement for each output of a finished run."""
    values = {name: v for name, v in checked.values.items() if name not in checked.idle}
    values |= checked.step_values
    arguments: dict[str, Any] = {}
    files: dict[str, tuple[FileRef, ...]] = {}
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        if items and all(isinstance(item, CheckedFile) for item in items):
            with contextlib.suppress(OSError, FolderError):  # gone since, and no step used it
                files[name] = tuple(_content(item, result.files) for item in items)
        elif value is not None:
            arguments[name] = value
    outputs = {name: request.extension for name, request in checked.outputs.items()}
    return {
        output: Provenance(
            schema="cvl-provenance/1",
            cvl=cvl.__version__,
            example=checked.manifest.name,
            graph=graph_of(checked.manifest),
            output=output,
            outputs=outputs,
            seed=seed,
            arguments=arguments,
            files=files,
            steps={name: step.origin for name, step in result.steps.items()},
        )
        for output in outputs
    }


def graph_of(manifest: Manifest) -> str:
    """sha256 of how a pipeline connects its steps; empty for a model."""
    if not isinstance(manifest, PipelineManifest):
        return ""
    graph = {"steps": to_plain(manifest.steps), "outputs": to_plain(manifest.outputs)}
    return hashlib.sha256(json.dumps(graph, sort_keys=True).encode()).hexdigest()


def _content(checked: CheckedFile, files: Files) -> FileRef:
    """What was staged of it; a file that no step used was not."""
    by_path = {file.path: staged for file, staged in files.items()}
    staged = files.get(checked) or by_path.get(checked.path)
    if staged is not None:
        return FileRef(staged.sha256, staged.size, staged.extension)
    sha256 = measure(checked.path).sha256 if checked.folder else digest_of(checked.path)
    return FileRef(sha256, checked.size, checked.extension)
