"""A run that sleeps for ten minutes in the middle of its work."""

from __future__ import annotations

import json
import subprocess

SLEEP = (
    "run", "stub", "predict", "--no-cache", "--act", "sleep", "--amount", "600",
    "--progress", "json",
)  # fmt: skip


def until_it_works(process: subprocess.Popen[str]) -> None:
    """Read what the run tells until its program says how far it is."""
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        if (event.get("event"), event.get("phase")) == ("progress", "run"):
            return
    raise AssertionError("the run ended before its program said how far it was")
