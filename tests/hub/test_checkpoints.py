"""The tables of small checkpoints. That these load and run is proved where torch is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkpoints import calls, families

SUPPORT = Path(families.__file__).parents[1]
ADAPTERS = {call.adapter for call in calls.CALLS.values()} - {None}
OTHERS = ("broken", "wan_s2v", "live_avatar")
"""Families that are no pipelines of diffusers."""
EVERY = [*calls.CALLS.items(), *calls.IMAGE_CALLS.items()]


def test_each_repository_that_is_a_pipeline_has_a_call() -> None:
    others = {repo for family in OTHERS for repo in families.FAMILIES[family]}
    pipelines = families.REPOSITORIES.keys() - others - ADAPTERS
    assert calls.CALLS.keys() == pipelines
    assert calls.IMAGE_CALLS.keys() <= pipelines
    assert families.REPOSITORIES.keys() >= ADAPTERS


@pytest.mark.parametrize(("repo", "call"), EVERY, ids=lambda value: str(value)[:40])
def test_a_call_keeps_the_rules_it_states(repo: str, call: calls.Call) -> None:
    asked = (call.arguments.get("width", call.size[0]), call.arguments.get("height", call.size[1]))
    assert asked == call.size
    assert [side % call.multiple for side in call.size] == [0, 0]
    assert call.frames >= call.least_frames
    assert call.frames == 1 if call.frames_step == 0 else (call.frames - 1) % call.frames_step == 0


def test_the_tables_can_be_read_where_there_is_no_torch() -> None:
    code = "import sys, checkpoints.calls; print({'torch', 'diffusers'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SUPPORT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
