"""A program that says far too much costs neither memory nor disk nor time, and its last words are
still heard."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cvl.ops.follow import LOG_BYTES
from tests.cli.terminals import on_terminal
from tests.conftest import STUBS
from tests.support.escapes import raw_in
from tests.support.memory import counted, peak_mb

pytestmark = pytest.mark.docker

GROWTH_MB = 4
"""A few chunks of 64 KiB, a megabyte of events and what the allocator keeps of them; a quiet run
takes some 30 MB, what is written up to 200."""
LONGER_S = 40
"""A few seconds where nothing else runs, most of them for pipes and the engine's own log."""
LAST_WORDS = "LastWords: the printer is on fire"


@dataclass
class Flood:
    """`cvl run stub` with an act of so many MiB, and how it is looked at meanwhile."""

    environment: dict[str, str]
    folder: Path

    def words(self, act: str, amount: int, progress: str) -> list[str]:
        words = ["run", "stub", "predict", "--act", act, "--amount", str(amount), "--no-cache"]
        return counted(self.folder / "peak", *words, "--overwrite", "--progress", progress)

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, act: str, amount: int, progress: str) -> tuple[str, float, float]:
        """(what it printed, its peak in MB, seconds)."""
        began = time.monotonic()
        command = self.words(act, amount, progress)
        if progress == "tty":
            _, output = on_terminal(command, self.environment, self.folder)
        else:
            output = "".join(self.start(command).communicate(timeout=120))
        return output, peak_mb(self.folder / "peak"), time.monotonic() - began

    def on_disk(self) -> int:
        """Bytes of the largest log of a step."""
        runs = (self.folder / "home" / "state" / "runs").iterdir()
        return max(sum(log.stat().st_size for log in run.glob("*.log*")) for run in runs)


@pytest.fixture
def flood(engine_env: dict[str, str], tmp_path: Path) -> Flood:
    return Flood({**engine_env, "CVL_EXAMPLES": str(STUBS)}, tmp_path)


@pytest.mark.parametrize("progress", ["json", "tty"])
def test_fifty_megabytes_of_lines_cost_nothing_and_the_last_words_are_told(
    progress: str, flood: Flood
) -> None:
    _, quiet_mb, quiet_s = flood.run("flood_lines", 0, progress)
    output, peak, seconds = flood.run("flood_lines", 50, progress)
    assert LAST_WORDS in output
    assert raw_in(output, terminal=progress == "tty") == []
    assert "forged" not in output and "owned" not in output
    assert peak - quiet_mb < GROWTH_MB
    assert seconds - quiet_s < LONGER_S
    assert 1 << 20 < flood.on_disk() <= 2 * LOG_BYTES + (1 << 20)


def test_one_line_of_two_hundred_megabytes_costs_nothing_and_neither_does_following_it(
    flood: Flood, tmp_path: Path
) -> None:
    _, quiet_mb, quiet_s = flood.run("flood", 0, "plain")
    began = time.monotonic()
    run = flood.start(flood.words("flood", 200, "plain"))
    assert run.stderr is not None
    next(line for line in run.stderr if line.startswith("stub: run"))
    follow = flood.start(counted(tmp_path / "follow", "logs", "last", "--follow"))
    assert follow.stdout is not None
    assert all(raw_in(line) == [] and len(line) < 5000 for line in follow.stdout)
    output, _ = run.communicate(timeout=60)
    follow.communicate(timeout=60)
    assert (run.returncode, follow.returncode) == (0, 0), output
    assert time.monotonic() - began - quiet_s < LONGER_S
    assert peak_mb(tmp_path / "peak") - quiet_mb < GROWTH_MB
    assert 1 << 20 < flood.on_disk() <= 2 * LOG_BYTES + (1 << 20)
    shown = flood.start(counted(tmp_path / "shown", "logs", "last"))
    assert shown.stdout is not None
    assert sum(len(line) for line in shown.stdout if raw_in(line) == []) > LOG_BYTES / 2
    shown.communicate(timeout=60)
    _quiet(flood, tmp_path / "none")
    for name in ("follow", "shown"):
        assert peak_mb(tmp_path / name) - peak_mb(tmp_path / "none") < GROWTH_MB


def _quiet(flood: Flood, place: Path) -> None:
    """`cvl logs` of a run that said nothing."""
    flood.run("flood", 0, "plain")
    flood.start(counted(place, "logs", "last")).communicate(timeout=60)


def test_a_control_channel_that_is_flooded_costs_nothing_and_its_last_words_are_heard(
    flood: Flood,
) -> None:
    _, quiet_mb, quiet_s = flood.run("flood_control", 0, "json")
    output, peak, seconds = flood.run("flood_control", 16, "json")
    told = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert "stub: the last warning" in [line.get("text") for line in told]
    assert len(told) < 100, "a line for each time it was looked, not for each event"
    assert "stub failed (exit 65)" in output
    assert peak - quiet_mb < GROWTH_MB
    assert seconds - quiet_s < LONGER_S
