"""Writers of run records are killed at any time: what was acknowledged is there, what was not is
there as a whole or not at all, and nothing is in a state that it cannot be in."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cvl.store.records import RUNNING, PeakKey, Records
from tests.store.writing import ENDS, OWNER, Left, after
from tests.support.processes import ROOT

KILLS = 1000 if os.environ.get("CVL_TEST_FULL") else 100
PER_DATABASE = 20
"""Kills of each: a new one is killed while it is made, an older one has grown."""
SEED = int(os.environ.get("CVL_TEST_SEED") or random.randrange(1 << 32))
ORPHANS = "SELECT run FROM scratch WHERE run NOT IN (SELECT id FROM runs WHERE state='running')"


@dataclass
class Nursery:
    """The process that forks writers, and what they have acknowledged: a document per write."""

    process: subprocess.Popen[str]
    acknowledged: dict[str, list[Any]] = field(default_factory=dict)

    def tell(self, *words: object) -> None:
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)

    def hear(self) -> tuple[str, Any]:
        assert self.process.stdout is not None
        name, _, document = self.process.stdout.readline().partition(" ")
        told = json.loads(document)
        assert name not in ("impossible", "error"), told
        self.acknowledged.setdefault(name, []).append(told)
        return name, told

    def until(self, name: str, told: object = None) -> None:
        while self.hear() != (name, told):
            pass

    def kill(self, name: str) -> int:
        """How many writes it had acknowledged."""
        self.tell("kill", name)
        self.until("gone", name)
        return len(self.acknowledged.get(name, ()))


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writing"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    yield Nursery(process)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=30)


def left_by(records: Records, name: str) -> Left:
    """The rows of a writer, as they are."""
    mine = [run for run in records.runs(limit=10**9) if run.id.startswith(f"{name}-")]
    assert all(run.state in (RUNNING, *ENDS) and run.owner == OWNER for run in mine)
    assert all((run.ended is None) == (run.state == RUNNING) for run in mine)
    return Left(
        runs={r.id: (r.state, r.exit, r.code, r.message, r.outputs) for r in mine},
        scratch={r.id: records.scratch(r.id) for r in mine if r.state == RUNNING},
        images=set(records.images_of(name)),
        base=records.base_of(f"base-{name}"),
        peaks=records.peaks(PeakKey(name, "cuda", 1)),
    )


def without(left: Left, forgotten: set[str]) -> Left:
    """What others have forgotten: of runs that have ended alone."""
    runs = {i: r for i, r in left.runs.items() if r[0] == RUNNING or i not in forgotten}
    return Left(runs, left.scratch, left.images, left.base, left.peaks)


@dataclass
class Round:
    """Two writers on one database, each killed at a time of its own."""

    nursery: Nursery
    path: Path
    number: int
    chance: random.Random

    @property
    def seeds(self) -> dict[str, int]:
        return {f"{side}{self.number}": SEED + 2 * self.number + n for n, side in enumerate("ab")}

    def play(self) -> None:
        for name, seed in self.seeds.items():
            self.nursery.tell("fork", name, seed, self.path)
        counts = {}
        for name in self.seeds:
            for _ in range(self.chance.randrange(8)):
                self.nursery.hear()
            time.sleep(self.chance.uniform(0, 0.004))  # anywhere within a write
            counts[name] = self.nursery.kill(name)
        self.check(counts)

    def check(self, counts: dict[str, int]) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        records = Records(self.path)
        records.begin(f"t-{self.number}", "echo", "predict", OWNER, [])
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            assert db.execute(ORPHANS).fetchall() == []
        told = self.nursery.acknowledged
        forgotten = {
            run for name in told for ids in told[name] for run in ids or () if name[0] in "ab"
        }
        ends = {name: after(name, self.seeds[name], count) for name, count in counts.items()}
        last_forgot = any(following.method == "forget_before" for _, _, following in ends.values())
        for name, (least, most, _) in ends.items():
            found = left_by(records, name)
            gone = forgotten | (least.runs.keys() - found.runs.keys() if last_forgot else set())
            assert found in (without(least, gone), without(most, gone)), name


def test_no_acknowledged_write_is_lost_and_none_is_done_by_half(
    nursery: Nursery, tmp_path: Path
) -> None:
    print(f"CVL_TEST_SEED={SEED}")  # shown when it fails
    chance = random.Random(SEED)
    for number in range(KILLS // 2):
        path = tmp_path / f"{2 * number // PER_DATABASE}" / "cvl.db"
        if 2 * number % PER_DATABASE == 0:
            if number:
                nursery.kill("reader")
            Round(nursery, path, number, chance).play()
            nursery.tell("read", path)
            nursery.until("reads")
        else:
            Round(nursery, path, number, chance).play()
    assert sum(len(told) for name, told in nursery.acknowledged.items() if name[0] in "ab") > KILLS
