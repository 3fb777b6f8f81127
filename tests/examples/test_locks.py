"""requirements.lock of an example says what its requirements.in asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cvl.core.manifest import ModelManifest
from cvl.ops.examples import Catalog, Example
from tests.examples.conftest import EXAMPLES

HOSTED = [
    example
    for example in Catalog([str(EXAMPLES)]).examples.values()
    if example.folder.parent == EXAMPLES
    and isinstance(example.manifest, ModelManifest)
    and "venv" in example.manifest.engines
]


def pins(path: Path) -> set[str]:
    """`name==version` of every line, those of the files that it names included."""
    found: set[str] = set()
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(path.parent / line[3:].strip())
        elif match := re.match(r"[\w.-]+==[\w.]+", line):
            found.add(match[0])
    return found


@pytest.mark.parametrize("example", HOSTED, ids=lambda example: example.name)
def test_a_lock_holds_what_was_asked_for_each_with_hashes(example: Example) -> None:
    lock = example.folder / "requirements.lock"
    assert pins(lock) == pins(example.folder / "requirements.in") != set()
    packages = re.split(r"^(?=[\w.-]+==)", lock.read_text(), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in package for package in packages)


def test_the_examples_of_the_demo_run_in_both_engines() -> None:
    assert {example.name for example in HOSTED} >= {"tts", "portrait", "postprocess"}
