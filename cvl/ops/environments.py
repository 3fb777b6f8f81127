"""Virtual environments of examples: a folder each in `envs/`, called EXAMPLE-DIGEST; an `env.json`
in it with the key `example` says better whose it is. Its holder has the lock `env`/FOLDER."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cvl.ops.garbage import Item, Superseded
from cvl.ops.session import Session
from cvl.store.disk import children, touched, tree_size

LOCK = "env"
ABOUT = "env.json"
MIN_DIGEST = 12


@dataclass(frozen=True)
class Environment:
    """`example` is empty when nobody can tell; `digest` is the end of the folder's name."""

    path: Path
    example: str
    digest: str
    used: float

    @property
    def size(self) -> int:
        return tree_size(self.path)


def environments(session: Session) -> Iterator[Environment]:
    """Those that there are. They were used when the folder or its env.json was last changed."""
    for path in children(session.dirs.envs):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            name, _, digest = path.name.rpartition("-")
            used = max(touched(path), touched(path / ABOUT))
            yield Environment(path, _example(path) or name, digest, used)


def _example(path: Path) -> str:
    try:
        about = json.loads((path / ABOUT).read_bytes())
        return str(about.get("example", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def superseded_environments(
    session: Session, names: Iterable[str], contexts: Iterable[str]
) -> Iterator[Superseded]:
    """Of the examples called `names`: all but the one used last, and those whose digest begins one
    of the `contexts`. Others may belong to examples that are not within reach now."""
    current = tuple(contexts)
    last: dict[str, Environment] = {}
    found = [one for one in environments(session) if one.example in set(names)]
    for one in found:
        if one.example not in last or one.used > last[one.example].used:
            last[one.example] = one
    for one in found:
        if one is not last[one.example] and not _is_current(one, current):
            why = f"{one.example} has changed since"
            item = Item("environment", one.path.name, one.size, why)
            yield Superseded(item, one.used)


def _is_current(environment: Environment, contexts: tuple[str, ...]) -> bool:
    digest = environment.digest
    return len(digest) >= MIN_DIGEST and any(found.startswith(digest) for found in contexts)
