"""cvl list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY, Run, envelope_of, make_example
from tests.cli.terminals import on_terminal

SMALL = """summary: Small
license: {code: MIT}
inputs: {}
outputs: {out: {type: file, default: out.txt}}
"""


def test_names_kinds_and_where_they_came_from(bare: Run) -> None:
    result = bare("list")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert result.returncode == 0
    assert lines["NAME"].split() == ["NAME", "KIND", "TASKS", "GPU", "SUMMARY", "SOURCE"]
    assert "pipeline" in lines["twostep"] and lines["twostep"].endswith("CVL_EXAMPLES")
    assert lines["tts"].endswith("cvl")
    assert "\x1b" not in result.stdout + result.stderr


def test_piped_output_is_whole(bare: Run, tmp_path: Path) -> None:
    long = "A summary of a hundred characters and more, " * 4
    make_example(tmp_path / "examples", "wordy", SMALL.replace("Small", long))
    result = bare("list")
    assert long.strip() in result.stdout
    assert "./examples" in result.stdout


def test_fits_a_terminal(bare_env: dict[str, str], tmp_path: Path) -> None:
    status, screen = on_terminal([sys.executable, "-m", "cvl", "list"], bare_env, tmp_path)
    assert status == 0
    assert "postprocess" in screen
    assert max(map(len, screen.splitlines())) <= 80


def test_a_broken_manifest_is_a_row(bare: Run, tmp_path: Path) -> None:
    make_example(tmp_path / "mine", "sound", SMALL)
    make_example(tmp_path / "mine", "cracked", SMALL.replace("outputs", "outptus"))
    result = bare("list", "--examples", "mine")
    rows = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()}
    assert result.returncode == 0
    assert (rows["sound"], rows["cracked"]) == ("model", "broken")
    assert "cracked is broken: mine/cracked/example.yaml:5: unknown key" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_json(bare: Run, tmp_path: Path) -> None:
    make_example(tmp_path / "mine", "cracked", "kind: modle\n")
    envelope = envelope_of(bare("list", "--examples", "mine", "--json"), "list")
    rows = {row["name"]: row for row in envelope["data"]["examples"]}
    assert rows["cracked"]["kind"] is None and "kind is 'modle'" in rows["cracked"]["error"]
    assert rows["gpu_stub"]["gpu"] == "required"
    assert rows["twostep"]["gpu"] is None


@pytest.mark.parametrize("without", [("HOME",), ("HOME", "CVL_HOME")])
def test_works_without_a_home(bare: Run, without: tuple[str, ...]) -> None:
    result = bare("list", without=without)
    assert result.returncode == 0 and "tts" in result.stdout


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null/nowhere"])
def test_works_where_nothing_can_be_written(bare: Run, home: str) -> None:
    result = bare("list", env={"HOME": home, "CVL_HOME": home})
    assert result.returncode == 0 and "tts" in result.stdout
    assert result.stderr == ""


def test_where_home_may_not_be_entered(bare_env: dict[str, str], tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    result = subprocess.run(
        [*(powerless if os.geteuid() == 0 else []), sys.executable, "-m", "cvl", "list"],
        env={**bare_env, "HOME": str(locked), "CVL_HOME": str(locked)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert "NAME" in result.stdout


def test_loads_neither_docker_nor_requests() -> None:
    code = (
        "import sys; from cvl.cli.app import run_app; run_app(['list']);"
        "heavy = {'docker', 'requests', 'huggingface_hub', 'fastapi', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("reader", ["head -1", "true", "head -c 1"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(
    bare_env: dict[str, str], tmp_path: Path, reader: str, unbuffered: str
) -> None:
    command = f"{sys.executable} -m cvl list | {reader} >/dev/null; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], env={**bare_env, "PYTHONUNBUFFERED": unbuffered},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_no_examples(bare: Run) -> None:
    """Those that come with cvl are always there, so it takes a folder of nothing to say so."""
    result = bare("list", "--examples", "nowhere")
    assert result.returncode == 0


def test_where_the_locale_knows_ascii_only(bare: Run, tmp_path: Path) -> None:
    make_example(tmp_path / "examples", "small", SMALL.replace("Small", "Klein \u2192 gro\u00df"))
    result = bare("list", env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert "Klein \\u2192 gro\\xdf" in result.stdout
