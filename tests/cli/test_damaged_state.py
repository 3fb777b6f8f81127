"""When cvl's own database is damaged or of the future: every command that needs it says so in one
line with a hint, changes nothing, and those that do not need it work."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from cvl.store.records import VERSION
from tests.cli.conftest import Run
from tests.support.venvs import write_example

NEED_IT = {
    "ps": ("ps", "--all"),
    "logs": ("logs", "last"),
    "stop": ("stop", "--all"),
    "shell": ("shell", "last", "--command", "true"),
    "gc": ("gc", "--yes"),
    "run": ("run", "acts", "predict", "--engine", "venv"),
}
DO_NOT = {
    "list": ("list",),
    "info": ("info", "acts"),
    "validate": ("validate", "acts"),
    "dry run": ("run", "acts", "predict", "--dry-run"),
    "completion": ("completion", "bash"),
}


@pytest.fixture(params=["text", "cut short", "newer"])
def spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """The database, and the code of what is wrong with it."""
    path = tmp_path / "home" / "state" / "cvl.db"
    path.parent.mkdir(parents=True)
    if request.param == "text":
        path.write_text("not a database " * 1000)
        return path, "state_damaged"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE runs (id TEXT)")
        db.execute(f"PRAGMA user_version={99 if request.param == 'newer' else VERSION}")
    db.close()
    if request.param == "cut short":
        path.write_bytes(path.read_bytes()[:5000])
        return path, "state_damaged"
    return path, "state"


def test_every_command_that_needs_it_says_so_and_changes_nothing(
    spoilt: tuple[Path, str], bare: Run, tmp_path: Path
) -> None:
    path, code = spoilt
    write_example(tmp_path / "mine" / "acts")
    mine = {"CVL_EXAMPLES": str(tmp_path / "mine")}
    before = path.read_bytes()
    for name, words in NEED_IT.items():
        result = bare(*words, env=mine)
        lines = result.stderr.splitlines()
        told = [line for line in lines if str(path) in line and line.startswith("error: ")]
        assert (result.returncode, len(told)) == (3, 1), (name, lines)
        assert lines[-1].startswith("hint: "), name
    for name, words in DO_NOT.items():
        assert bare(*words, env=mine).returncode == 0, name
    assert json.loads(bare("ps", "--json").stdout)["error"]["code"] == code
    assert path.read_bytes() == before
