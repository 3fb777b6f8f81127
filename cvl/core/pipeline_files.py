"""Which files of a repo a diffusers pipeline loads, by the names of them all.

`diffusers` in the place of a pattern stands for these, `diffusers:fp16` for those of a variant.
Repos keep the same weights several times over: as safetensors and as pickles, at full and at half
precision, and once more as one file for other programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

INDEX = "model_index.json"
CONFIG = "config.json"
"""Of a component that has weights. Without it, they are those of another program."""
WORD = "diffusers"
_PLAIN = (".json", ".txt", ".model", ".jinja")
_WEIGHTS = re.compile(
    r"(?P<name>[^.]+)(?:\.(?P<variant>[^.]+?))?(?:-\d+-of-\d+)?\.(?P<kind>safetensors|bin)"
)
_KINDS = ("safetensors", "bin")
_FOREIGN = ("openvino", "flax", "onnx", "training_args", "optimizer", "scheduler.bin")


def is_pipeline(pattern: str) -> bool:
    """Does it stand for the files of a pipeline?"""
    return pattern == WORD or pattern.startswith(f"{WORD}:")


def variant_of(pattern: str) -> str:
    """`fp16` of `diffusers:fp16`; empty when none is asked for."""
    return pattern.partition(":")[2]


def pipeline_files(paths: Iterable[str], variant: str = "") -> set[str]:
    """Index, configurations and, of each component, one set of weights: of the variant where it has
    one, and as safetensors where there are any. Nothing when it is no pipeline, or when no
    component has the variant."""
    every = set(paths)
    if INDEX not in every:
        return set()
    folders: dict[str, list[str]] = {}
    for path in every:
        folder, slash, name = path.partition("/")
        if slash and "/" not in name:
            folders.setdefault(folder, []).append(name)
    chosen = {folder: _weights(names, variant) for folder, names in folders.items()}
    if variant and not any(_has(names, variant) for names in chosen.values()):
        return set()
    plain = {f"{f}/{n}" for f, names in folders.items() for n in names if n.endswith(_PLAIN)}
    return {INDEX} | plain | {f"{f}/{name}" for f, names in chosen.items() for name in names}


def _weights(names: Iterable[str], variant: str) -> list[str]:
    """One set of weights of a component."""
    names = set(names)
    if CONFIG not in names:
        return []
    found: dict[tuple[str, str], list[str]] = {}
    for name in names:
        match = _WEIGHTS.fullmatch(name)
        if match and not name.startswith(_FOREIGN):
            found.setdefault((match["kind"], match["variant"] or ""), []).append(name)
    wanted = dict.fromkeys((variant, ""))
    order = [(kind, which) for kind in _KINDS for which in wanted]
    return next((found[key] for key in order if key in found), [])


def _has(names: Iterable[str], variant: str) -> bool:
    matches = (_WEIGHTS.fullmatch(name) for name in names)
    return any(match is not None and match["variant"] == variant for match in matches)
