"""The sample inputs of an example, as a request takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvl.ops.examples import Example


def sample_inputs(example: Example) -> dict[str, Any]:
    """Sample values of the manifest; files are relative to the example's folder."""
    manifest = example.manifest
    return {
        name: _in_folder(example.folder, value) if manifest.inputs[name].is_file else value
        for name, value in manifest.samples.items()
    }


def _in_folder(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_in_folder(folder, item) for item in value]
    return str(folder / str(value))
