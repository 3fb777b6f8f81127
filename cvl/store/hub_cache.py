"""The Hugging Face hub cache. It belongs to all programs of the user: looked at, never changed."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from cvl.store.disk import children, files

KINDS = ("models--", "datasets--", "spaces--")
MOST_FILES = 100_000
"""Looked at per repo: the tree is not ours."""


def hub_folder() -> Path:
    """Where huggingface_hub keeps what it downloads, by the rules of its own."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return _expanded(os.environ[variable])
    home = os.environ.get("HF_HOME")
    if home:
        return _expanded(home) / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return _expanded(cache) / "huggingface" / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))


def folder_of(repo: str) -> str:
    """Name of the folder of a model repo, ORG/NAME."""
    return f"models--{repo.replace('/', '--')}"


def repos(folder: Path) -> dict[str, int]:
    """Name of every repo's folder -> bytes on disk. Its snapshots are links to its blobs, which
    count once; the folder itself may be a link to another disk."""
    found: dict[str, int] = {}
    seen: set[str] = set()
    for path in children(folder):
        real = os.path.realpath(path)
        if path.name.startswith(KINDS) and os.path.isdir(real) and real not in seen:
            seen.add(real)
            found[path.name] = sum(size for _, size in islice(files(Path(real)), MOST_FILES))
    return found
