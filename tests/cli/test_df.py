"""`cvl df`: where the space went."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cvl.core import owner as labels
from cvl.store.disk import tree_size
from tests.cli.conftest import Run, Start, envelope_of, logs_in, make_example
from tests.cli.terminals import on_terminal
from tests.conftest import Cvl, data_of


def _rows(data: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["kind"], row["example"]): row for row in data["usage"]}


def test_nothing_is_used_before_anything_ran_and_no_engine_is_needed(bare: Run) -> None:
    data = envelope_of(bare("df", "--json"), "df")["data"]
    assert (data["size"], len(data["notes"])) == (0, 1)
    assert "not counted" in bare("df").stderr


def make_repo(hub: Path, name: str, size: int) -> None:
    """A repo as the hub's library lays it out: a snapshot with a link to a blob."""
    (hub / name / "blobs").mkdir(parents=True)
    (hub / name / "blobs" / "aaaa").write_bytes(b"x" * size)
    snapshot = hub / name / "snapshots" / ("1" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/aaaa")


MODEL = """\
summary: Uses weights
license: {{code: Apache-2.0}}
inputs: {{}}
outputs: {{result: {{type: file, default: result.txt}}}}
weights: [{repos}]
"""


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, str]:
    """Environment with three examples and a hub cache with four repos."""
    for name, repos in (
        ("alone", "{repo: org/one}"),
        ("left", "{repo: org/two}, {repo: org/three}"),
        ("right", "{repo: org/two}, {repo: org/nowhere}"),
    ):
        make_example(tmp_path / "mine", name, MODEL.format(repos=repos))
    hub = tmp_path / "hf" / "hub"
    for name, size in (("one", 1000), ("two", 2000), ("three", 4000), ("elses", 8000)):
        make_repo(hub, f"models--org--{name}", size)
    return {"HF_HOME": str(tmp_path / "hf"), "CVL_EXAMPLES": str(tmp_path / "mine")}


def test_weights_are_of_the_examples_that_use_them(bare: Run, weights: dict[str, str]) -> None:
    rows = _rows(envelope_of(bare("df", "--json", env=weights), "df")["data"])
    found = {name: (r["count"], r["size"]) for (kind, name), r in rows.items() if kind == "weights"}
    assert found == {
        "alone": (1, 1000), "left": (1, 4000), "left, right": (1, 2000), "": (1, 8000),
    }  # fmt: skip
    text = bare("df", env=weights).stdout
    assert "weights  (other programs)  1      8.0 kB" in text


def test_a_broken_example_has_no_weights_and_spoils_nothing(
    bare: Run, weights: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine" / "alone" / "example.yaml").write_text("name: alone\n")
    rows = _rows(envelope_of(bare("df", "--json", env=weights), "df")["data"])
    assert rows["weights", ""]["size"] == 9000


def test_runs_and_environments_are_counted_by_example(
    bare: Run, start: Start, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for run in ("20260101-000000-aaaaaa", "20260101-000000-bbbbbb"):
        start(run, "polite")
        logs_in(home, run, stub="x" * 1000)
    bare("stop", "--all")
    logs_in(home, "20260101-000000-cccccc", stub="x" * 10)
    for name, example in (("stub-0123", "stub"), ("stub-4567", "stub"), ("odd-89", "odd")):
        _environment(home / "cache" / "envs" / name, example)
    (home / "cache" / "envs" / "half").mkdir()
    rows = _rows(envelope_of(bare("df", "--json"), "df")["data"])
    assert (rows["runs", "stub"]["count"], rows["runs", "stub"]["size"]) == (2, 2000)
    assert (rows["runs", ""]["count"], rows["runs", ""]["size"]) == (1, 10)
    assert (rows["environments", "stub"]["count"], rows["environments", "odd"]["count"]) == (2, 1)
    assert rows["environments", "stub"]["size"] > 200


def _environment(folder: Path, example: str) -> None:
    """One of 100 bytes and what says whose it is."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_bytes(b"x" * 100)
    python.chmod(0o755)
    marks = {labels.EXAMPLE: example, labels.CONTEXT: folder.name}
    about = {"tag": folder.name, "id": f"venv:{folder.name}", "labels": marks}
    (folder / "env.json").write_text(json.dumps({**about, "python": "", "made": 0}))


def test_the_table_fits_a_terminal_of_80_columns(
    bare_env: dict[str, str], weights: dict[str, str], tmp_path: Path
) -> None:
    for number in range(4):
        name = f"a_very_long_name_of_an_example_{number}"
        make_example(tmp_path / "mine", name, MODEL.format(repos="{repo: org/elses}"))
    environment = {**bare_env, **weights}
    status, screen = on_terminal([sys.executable, "-m", "cvl", "df"], environment, tmp_path)
    rows = [line for line in screen.splitlines() if line.startswith(("KIND", "weights", "work"))]
    assert (status, len(rows)) == (0, 6)
    assert max(map(len, rows)) <= 80 and "a_very_long_name_of_an_example_0" in screen
    assert "8.0 kB" in screen


@pytest.mark.docker
def test_images_results_and_runs_are_counted(cvl: Cvl, tmp_path: Path) -> None:
    assert cvl("run", "stub", "predict", "--seed", "1").returncode == 0
    assert cvl("run", "stub", "predict", "--seed", "2", "--overwrite").returncode == 0
    assert cvl("run", "twostep", "predict", "-o", "two.txt").returncode == 0
    data = data_of(cvl("df", "--json"))
    rows = _rows(data)
    assert rows["images", "stub"]["count"] >= 1
    assert rows["images", "stub"]["size"] > 10**6
    assert (rows["runs", "stub"]["count"], rows["runs", "twostep"]["count"]) == (2, 1)
    assert rows["build cache", ""]["size"] >= 0
    assert rows["work", ""]["size"] == 0
    results = [row for row in data["usage"] if row["kind"] == "results"]
    assert {row["example"] for row in results} <= {"stub", "copier", "copier, stub"}
    root = tmp_path / "home" / "cache" / "results"
    assert sum(row["size"] for row in results) == tree_size(root)
    blobs = [path for path in root.glob("sha256/*/*")]
    assert sum(row["count"] for row in results) == len(blobs)
