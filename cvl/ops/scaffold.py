"""A new example, written from the templates that come with cvl."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cvl.core.names import canonical, is_identifier, printable
from cvl.errors import UserError
from cvl.ops.examples import Catalog
from cvl.store.atomic import remove_tree

Kind = Literal["model", "pipeline"]
NAME = b"@NAME@"
USUAL = Path("examples")


@dataclass(frozen=True)
class Written:
    """A new example. files: relative to `folder`; within_reach: a command that is run here finds it
    by its name alone."""

    name: str
    kind: Kind
    folder: Path
    files: tuple[str, ...]
    within_reach: bool


def check_name(name: str, catalog: Catalog) -> None:
    """UserError unless `name` can be the name of a new example."""
    if not is_identifier(name):
        guess = re.sub(r"[^a-z0-9]+", "_", canonical(name)).strip("_")[:63]
        other = f", e.g. {guess}" if is_identifier(guess) else ""
        raise UserError(
            f"{printable(name, 80)!r} cannot be the name of an example",
            hint=f"take small letters, digits and underscores, a letter first{other}",
            code="bad_name",
        )
    taken = catalog.examples.get(name)
    if taken is not None:
        raise UserError(
            f"there is an example {name} already, in {taken.folder} ({taken.source})",
            hint="choose another name",
            code="name_taken",
        )


def place_for(name: str, folder: str | None) -> Path:
    """Where the new example goes: into `folder`, else ./examples if there is one, else here."""
    if folder is not None and not os.path.isdir(folder):
        raise UserError(f"--dir: there is no folder {folder}", hint=f"mkdir {folder}")
    parent = Path(folder) if folder is not None else USUAL if USUAL.is_dir() else Path()
    return Path(os.path.abspath(parent / name))


def write_example(name: str, kind: Kind, target: Path) -> list[str]:
    """Write the files of a new example to the folder `target`, which is made and must not be there
    yet. UserError when it is, or cannot be made; then nothing was written."""
    try:
        target.mkdir()
    except FileExistsError:
        hint = "choose another name, or --dir"
        raise UserError(f"{target} exists", hint=hint, code="target_exists") from None
    except OSError as error:
        raise UserError(f"{target} cannot be made: {error.strerror}", hint="give --dir") from None
    try:
        return [_write(template, source, target, name) for template, source in _templates(kind)]
    except BaseException as error:
        with contextlib.suppress(OSError):
            remove_tree(target)
        if isinstance(error, OSError):
            raise UserError(f"{target} cannot be written: {error.strerror}") from None
        raise


def _write(relative: str, source: Path, target: Path, name: str) -> str:
    place = target / relative
    place.parent.mkdir(exist_ok=True)
    with place.open("xb") as stream:
        stream.write(source.read_bytes().replace(NAME, name.encode()))
    return relative


def _templates(kind: Kind) -> Iterator[tuple[str, Path]]:
    """(relative name, path) of each file; an installer may have left compiled ones between them."""
    import cvl

    root = Path(os.path.abspath(cvl.__file__)).parent / "templates" / kind
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(root)), path


def new_example(catalog: Catalog, name: str, kind: Kind, folder: str | None) -> Written:
    """Write a new example. Everything that can be refused is refused before a file is made."""
    check_name(name, catalog)
    target = place_for(name, folder)
    files = write_example(name, kind, target)
    return Written(name, kind, target, tuple(files), catalog.reaches(target))
