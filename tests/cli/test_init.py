"""cvl init: what it writes, where, and what it leaves alone. That it runs is shown in
tests/examples/test_init_runs.py."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cvl.errors import UserError
from cvl.ops.scaffold import write_example
from tests.cli.conftest import REPOSITORY, Run, envelope_of
from tests.support.files import read_only_folder

MODEL = {
    "Dockerfile",
    "README.md",
    "example.yaml",
    "predict.py",
    "requirements.lock",
    "requirements.txt",
    "samples/tune.wav",
}
PIPELINE = {"README.md", "example.yaml", "samples/portrait.jpg"}


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("more", "files"), [((), MODEL), (("--pipeline",), PIPELINE)])
def test_into_the_examples_folder_where_there_is_one(
    bare: Run, tmp_path: Path, more: tuple[str, ...], files: set[str]
) -> None:
    (tmp_path / "examples").mkdir()
    data = envelope_of(bare("init", "mine", *more, "--json"), "init")["data"]
    folder = tmp_path / "examples" / "mine"
    assert (data["folder"], data["within_reach"]) == (str(folder), True)
    assert files_in(folder) == set(data["files"]) == files
    assert "@NAME@" not in "".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert data["try"][0] == "cvl run mine test --examples examples"
    checked = envelope_of(bare("validate", "mine", "--json"), "validate")["data"]["examples"]
    assert [(v["folder"], v["good"]) for v in checked] == [(str(folder), True)]
    kind = "pipeline" if more else "model"
    assert envelope_of(bare("info", "mine", "--json"), "info")["data"]["kind"] == kind


def test_here_when_there_is_none_with_a_hint_of_how_it_is_found(bare: Run, tmp_path: Path) -> None:
    result = bare("init", "mine")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path}/mine\n")
    assert result.stderr.splitlines() == [
        "cvl finds it with --examples ., or always when your cvl.toml says: "
        f'examples = ["{tmp_path}"]',
        "try: cvl run mine test --examples .",
        "try: cvl run mine predict --audio mine/samples/tune.wav --examples .",
    ]
    assert bare("info", "mine").returncode == 2
    assert bare("info", "mine", "--examples", ".").returncode == 0
    (tmp_path / "cvl.toml").write_text(f'examples = ["{tmp_path}"]')
    assert bare("info", "mine").returncode == 0


def test_into_a_folder_that_is_named(bare: Run, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "more of them").mkdir()
    result = bare("init", "mine", "--dir", "more of them")
    assert result.stdout == f"{tmp_path}/more of them/mine\n"
    assert "--examples 'more of them'" in result.stderr
    assert files_in(tmp_path / "more of them" / "mine") == MODEL
    reached = bare("init", "other", "--dir", "more of them", "--examples", "more of them")
    assert "cvl finds it" not in reached.stderr


def test_the_files_teach_the_contract_and_are_in_order(bare: Run, tmp_path: Path) -> None:
    assert bare("init", "mine").returncode == 0
    text = (tmp_path / "mine" / "predict.py").read_text()
    for word in ("ctx.progress(", "ctx.output(", "ctx.seed", "ctx.dtype", "ctx.offload"):
        assert word in text
    manifest = (tmp_path / "mine" / "example.yaml").read_text()
    for word in ("engines: [docker, venv]", "dtypes:", "offload:", "samples:"):
        assert word in manifest
    data = envelope_of(bare("info", "mine", "--examples", ".", "--json"), "info")["data"]
    readme = (tmp_path / "mine" / "README.md").read_text()
    assert [name for name in data["inputs"] if f"`--{name}`" not in readme] == []
    for step in (["check"], ["format", "--check"]):
        config = ["--config", str(REPOSITORY / "pyproject.toml"), "--no-cache"]
        command = [sys.executable, "-m", "ruff", *step, *config, str(tmp_path / "mine")]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_commented_parts_of_the_manifest_are_right_too(bare: Run, tmp_path: Path) -> None:
    assert bare("init", "mine").returncode == 0
    manifest = tmp_path / "mine" / "example.yaml"
    told = re.sub(r"^# (dtypes:|offload:|  - \{mode)", r"\1", manifest.read_text(), flags=re.M)
    manifest.write_text(told)
    data = envelope_of(bare("info", "mine", "--examples", ".", "--json"), "info")["data"]
    assert data["model"]["dtypes"] == ["bf16", "fp32"]
    assert [rung["mode"] for rung in data["model"]["offload"]] == ["none", "model"]
    assert data["model"]["engines"] == ["docker", "venv"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("My-Model", "e.g. my_model"),
        ("my model", "e.g. my_model"),
        ("../mine", "e.g. mine"),
        ("mine/", "e.g. mine"),
        ("9lives", "a letter first"),
        ("", "a letter first"),
        ("x" * 64, "e.g. " + "x" * 63),
        ("é\x1b[2J", "a letter first"),
    ],
)
def test_a_name_that_cannot_be_one(bare: Run, tmp_path: Path, name: str, hint: str) -> None:
    result = bare("init", name, "--json")
    error = envelope_of(result, "init", 2)["error"]
    assert error["code"] == "bad_name" and error["hint"].endswith(hint)
    assert "\x1b" not in error["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_an_example_within_reach_has(bare: Run, tmp_path: Path) -> None:
    for name in ("tts", "stub"):
        error = envelope_of(bare("init", name, "--json"), "init", 2)["error"]
        assert error["code"] == "name_taken"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_nothing_that_is_there_is_touched(bare: Run, tmp_path: Path, there: str) -> None:
    place = tmp_path / "mine"
    if there == "folder":
        place.mkdir()
    elif there == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")
    before = place.lstat()
    error = envelope_of(bare("init", "mine", "--json"), "init", 2)["error"]
    assert error["code"] == "target_exists"
    after = place.lstat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_is_not_there(bare: Run) -> None:
    gone = bare("init", "mine", "--dir", "nowhere")
    assert gone.stderr == "error: --dir: there is no folder nowhere\nhint: mkdir nowhere\n"


def test_a_folder_that_cannot_be_written_to() -> None:
    with (
        read_only_folder() as folder,
        pytest.raises(UserError, match="mine cannot be made: Permission denied"),
    ):
        write_example("mine", "model", folder / "mine")


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    """The sample is larger than a file may be."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limit[1]))
    try:
        with pytest.raises(UserError, match="cannot be written: File too large"):
            write_example("mine", "model", tmp_path / "mine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []
