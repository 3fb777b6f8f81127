"""Which containers were created while something was done, as the engine tells it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from cvl.core import owner as labels
from cvl.store.dirs import Dirs
from tests.support.engine import Engine


def home_id(home: Path) -> str:
    """The name of a CVL_HOME in the labels of its containers."""
    return Dirs(home / "state", home / "cache").home_id()


@contextlib.contextmanager
def containers_created(engine: Engine, home: Path) -> Iterator[list[str]]:
    """The steps that containers of this CVL_HOME were created for, once the block is over."""
    steps: list[str] = []
    since = time.time()
    yield steps
    mine = f"label={labels.PREFIX}owner.home={home_id(home)}"
    said = engine.docker(
        "events", "--since", f"{since:.9f}", "--until", f"{time.time():.9f}",
        "--filter", "event=create", "--filter", "type=container", "--filter", mine,
        "--format", "{{json .Actor.Attributes}}",
    )  # fmt: skip
    steps += sorted(json.loads(line)[labels.STEP] for line in said.splitlines())
