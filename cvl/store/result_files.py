"""The files of the result store: whose they are, and which were left unfinished. Reads only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvl.store.disk import children, files, touched


@dataclass(frozen=True)
class Share:
    """`size` in bytes of everything, `blobs` of it outputs."""

    blobs: int
    size: int


def shares(root: Path) -> dict[str, Share]:
    """What each example has in the store at `root`; together exactly what is on disk. Examples that
    made the same bytes are named together, `a, b`; whatever nobody knows the maker of is under the
    empty name."""
    sizes = dict(files(root))
    users: dict[str, set[str]] = {}
    for path in sizes:
        for owned, example in _owned(root, Path(path)):
            users.setdefault(owned, set()).add(example)
    found: dict[str, Share] = {}
    for path, size in sizes.items():
        name = together(users.get(path, ()))
        before = found.get(name, Share(0, 0))
        blob = Path(path).parent.parent == root / "sha256"
        found[name] = Share(before.blobs + blob, before.size + size)
    return dict(sorted(found.items()))


def together(examples: Iterable[str]) -> str:
    """One name for all of them; empty as soon as one of them is not known."""
    names = sorted(set(examples))
    return "" if "" in names else ", ".join(names)


def _owned(root: Path, path: Path) -> list[tuple[str, str]]:
    """Files that belong to the example that wrote `path`, an entry or the key document of a step
    (which is called EXAMPLE.STEP.json)."""
    if path.name.startswith("."):
        return []
    if path.parent == root / "last":
        return [(str(path), path.name.partition(".")[0])]
    if path.parent.parent != root / "keys":
        return []
    try:
        entry = json.loads(path.read_bytes())
        example = str(entry.get("example", ""))
        contents = [str(output["sha256"]) for output in entry["outputs"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    blobs = [str(root / "sha256" / content[:2] / content) for content in contents]
    return [(owned, example) for owned in (str(path), *blobs)]


def unfinished(root: Path, before: float) -> list[Path]:
    """Temporary files in the store that nobody has written to since `before`."""
    folders = [root / "last", *children(root / "keys"), *children(root / "sha256")]
    found = [path for folder in folders for path in children(folder) if path.name.startswith(".")]
    return [path for path in found if path.is_file() and touched(path) < before]
