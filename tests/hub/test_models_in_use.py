"""Nothing is deleted under somebody: runs beside `rm` and `prune`, in real processes, on a cache
that they share with another CVL_HOME."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.homes import TINY, Home, age
from tests.support.hub import Hub
from tests.support.processes import ended, python

FULL = os.environ.get("CVL_TEST_FULL") == "1"
RUNS, ROUNDS, AT_ONCE = (50, 100, 10) if FULL else (8, 4, 4)
USE = """\
import hashlib, random, sys, time
from pathlib import Path
from cvl.ops.examples import Catalog
from cvl.ops.request import Options
from cvl.ops.session import Session
from cvl.ops.weights.step import StepWeights

runs, seed = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
manifest = Catalog().find("mine").manifest

def content(view):
    return {name: Path(file).read_bytes() for name, file in view.files.items()}

for run in range(runs):
    weights = StepWeights(Session(), manifest, {}, Options())
    with weights.get() as view:
        seen = content(view)
        assert len(seen) == 3 and sum(map(len, seen.values())) == 12002, sorted(seen)
        until = time.monotonic() + chance.uniform(0, 0.3)
        while time.monotonic() < until:
            assert content(view) == seen, "it went away"
            time.sleep(0.01)
        assert content(view) == seen, "it went away"
    time.sleep(chance.uniform(0, 0.2))
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Hub(tmp_path / "served") as hub:
        hub.push("org/tiny", TINY)
        home = Home(tmp_path, hub)
        home.example("mine")
        yield home


def using(home: Home, runs: int, seed: int, cvl_home: str) -> subprocess.Popen[str]:
    environment = {**home.environment, "CVL_HOME": str(home.folder / cvl_home)}
    return python(USE, str(runs), str(seed), **environment)


@pytest.mark.timeout(900)
def test_rounds_of_rm_and_prune_beside_runs(home: Home) -> None:
    """Runs fetch what was removed between two of them, and none ever misses a byte."""
    each = RUNS // AT_ONCE
    users = [using(home, each, seed, f"home{seed % 2}") for seed in range(AT_ONCE)]
    notes: list[str] = []
    removed = rounds = 0
    while rounds < ROUNDS or any(user.poll() is None for user in users):
        for snapshot in home.repo("org/tiny").glob("snapshots/*"):
            age(snapshot)
            (home.repo("org/tiny") / "refs" / "main").unlink(missing_ok=True)
        for words in (["rm", "mine"], ["prune"]):
            result = home.models(*words, "--yes")
            assert result.returncode in (0, 4), result.stderr
            notes += [line for line in result.stderr.splitlines() if "not removed" in line]
            removed += "removed 1 of 1" in result.stderr
        rounds += 1
    for user in users:
        assert ended(user) == (0, "", "")
    assert removed >= 1
    assert all("in use by process" in note for note in notes)
