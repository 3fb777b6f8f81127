"""`cvl df`: where the space went."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Run, envelope_of
from tests.conftest import Cvl, data_of


def _rows(data: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["kind"], row["example"]): row for row in data["usage"]}


def test_nothing_is_used_before_anything_ran_and_no_engine_is_needed(bare: Run) -> None:
    data = envelope_of(bare("df", "--json"), "df")["data"]
    assert (data["size"], len(data["notes"])) == (0, 1)
    assert "not counted" in bare("df").stderr


@pytest.mark.docker
def test_images_results_and_runs_are_counted(cvl: Cvl) -> None:
    assert cvl("run", "stub", "predict", "--seed", "1").returncode == 0
    assert cvl("run", "stub", "predict", "--seed", "2", "--overwrite").returncode == 0
    rows = _rows(data_of(cvl("df", "--json")))
    assert rows["images", "stub"]["count"] >= 1
    assert rows["images", "stub"]["size"] > 10**6
    assert (rows["results", ""]["count"], rows["runs", ""]["count"]) == (2, 2)
    assert rows["results", ""]["size"] > 0 and rows["build cache", ""]["size"] >= 0
    assert rows["work", ""]["size"] == 0
