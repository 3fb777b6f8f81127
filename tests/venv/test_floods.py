"""A process of this machine that says far too much costs neither memory nor disk nor time."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cvl.ops.follow import LOG_BYTES
from tests.conftest import STUBS
from tests.support.escapes import raw_in
from tests.support.memory import counted, peak_mb
from tests.support.venvs import write_example

GROWTH_MB = 4
LONGER_S = 40
ENDS = {"flood_lines": (1, "failed (exit 9): LastWords: the printer is on fire"), "flood": (0, "")}


@pytest.mark.parametrize(("act", "amount"), [("flood_lines", 50), ("flood", 200)])
def test_a_flood_costs_nothing_and_the_last_words_are_told(
    act: str, amount: int, environment: dict[str, str], tmp_path: Path
) -> None:
    """50 MB of lines, and one line of 200 MB."""
    call = f"import acts; acts.{act}(ctx, ctx.output('result'), int(text), None)"
    folder = write_example(tmp_path / "mine" / "acts", act=call)
    shutil.copy(STUBS / "stub" / "acts.py", folder)

    def run(amount: int) -> tuple[subprocess.CompletedProcess[str], float, float]:
        began = time.monotonic()
        words = ("run", "acts", "predict", "--text", str(amount), "--overwrite", "--no-cache")
        command = counted(tmp_path / "peak", *words, "--progress", "json")
        result = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        return result, peak_mb(tmp_path / "peak"), time.monotonic() - began

    run(0)  # makes the environment
    _, quiet_mb, quiet_s = run(0)
    result, peak, seconds = run(amount)
    status, words = ENDS[act]
    assert result.returncode == status and words in result.stderr
    assert raw_in(result.stdout + result.stderr) == []
    assert peak - quiet_mb < GROWTH_MB
    assert seconds - quiet_s < LONGER_S
    runs = tmp_path.glob("home/state/runs/*")
    size = max(sum(log.stat().st_size for log in run.glob("*.log*")) for run in runs)
    assert 1 << 20 < size <= 2 * LOG_BYTES + (1 << 20)
