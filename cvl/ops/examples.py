"""Where examples come from, and which one a name means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cvl.core.location import Location
from cvl.core.manifest import Manifest
from cvl.core.names import canonical, did_you_mean, not_utf8
from cvl.errors import ManifestError, UserError
from cvl.store import known_manifests

if TYPE_CHECKING:
    from cvl.core.yaml_source import Document

MANIFEST = "example.yaml"
FOUND = ("./examples", "./cvl.toml")
"""Sources that come with the folder that the user works in."""


@dataclass(frozen=True)
class Example:
    """A folder with a manifest, and the place that it was found through."""

    name: str
    folder: Path
    source: str

    @property
    def trusted(self) -> bool:
        """Installed with cvl, or in a folder that the user configured: not merely found where the
        user works."""
        return self.source not in FOUND

    @property
    def document(self) -> Lines:
        """Names lines of the manifest in errors."""
        return Lines(self.folder)

    @cached_property
    def manifest(self) -> Manifest:
        """The checked manifest, from an earlier command when the file is the same; ManifestError
        with file and line."""
        stamp = known_manifests.stamp(self.folder / MANIFEST)
        known = known_manifests.recall(stamp)
        if known is not None and known.name == self.name:
            return known
        from cvl.core.validation import validate

        manifest = validate(read_document(self.folder), self.name)
        known_manifests.remember(stamp, manifest)
        return manifest


@dataclass(frozen=True)
class Lines:
    """Where things are in a manifest. It is parsed only once there is an error to tell."""

    folder: Path

    def error(self, location: Location, message: str, hint: str = "") -> ManifestError:
        """A ManifestError that points at `location`."""
        return read_document(self.folder).error(location, message, hint)


def read_document(folder: Path) -> Document:
    """Parse `folder`/example.yaml."""
    from cvl.core.yaml_source import parse

    path = folder / MANIFEST
    shown = os.path.relpath(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{shown}:1: cannot be read: {error.strerror}") from None
    return parse(text, shown if len(shown) < len(str(path)) else str(path))


class Catalog:
    """All examples within reach. Earlier sources win: --examples, CVL_EXAMPLES, cvl.toml (the
    project's, else the user's), ./examples, and the set that the package carries."""

    def __init__(
        self,
        folders: Sequence[str] = (),
        configured: Sequence[str] = (),
        found: Sequence[str] = (),
    ) -> None:
        self._folders = [*((f, "--examples") for f in folders)]
        named = os.environ.get("CVL_EXAMPLES", "")
        self._folders += [(f, "CVL_EXAMPLES") for f in named.split(os.pathsep) if f]
        self._folders += [(f, "./cvl.toml") for f in found]
        self._folders += [(f, "cvl.toml") for f in configured]
        # A checkout that cvl is installed from carries the examples that are found in it.
        if not _carried().exists() or Path("examples").resolve() != _carried().resolve():
            self._folders += [("examples", "./examples")]
        self._folders += [(str(_carried()), "cvl")]

    @cached_property
    def examples(self) -> dict[str, Example]:
        """Name -> example."""
        found: dict[str, Example] = {}
        for folder, source in self._folders:
            for path in sorted(example_folders(Path(folder))):
                found.setdefault(path.name, Example(path.name, path.resolve(), source))
        return found

    def reaches(self, folder: Path) -> bool:
        """Would an example in `folder` be found by its name, if no other had that?"""
        places = {Path(place).resolve() for place, _ in self._folders}
        return not places.isdisjoint((folder.resolve(), folder.resolve().parent))

    def find(self, name: str) -> Example:
        """The example called `name` (hyphens and capitals do not matter); UserError with the
        nearest."""
        example = self.examples.get(canonical(name)) or self.examples.get(name)
        if example is not None:
            problem = not_utf8(f"the folder of {example.name}", str(example.folder))
            if problem:
                raise UserError(problem, hint="rename the folder")
            return example
        if not self.examples:
            raise UserError(
                "there are no examples here",
                hint="give --examples DIR, or run cvl where an examples folder is",
                code="no_examples",
            )
        raise UserError(
            f"there is no example {name!r}",
            hint=did_you_mean(name, self.examples),
            code="unknown_example",
        )


def example_folders(folder: Path) -> list[Path]:
    """`folder` itself when it is an example, else the examples directly in it."""
    if (folder / MANIFEST).is_file():
        return [folder.resolve()]
    try:
        return [path for path in folder.iterdir() if (path / MANIFEST).is_file()]
    except OSError:
        return []


def _carried() -> Path:
    """Examples inside the wheel; in a checkout, the folder beside the package."""
    import cvl

    package = Path(os.path.abspath(cvl.__file__)).parent
    inside = package / "_examples"
    return inside if inside.is_dir() else package.parent / "examples"
