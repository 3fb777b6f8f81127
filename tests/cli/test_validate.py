"""cvl validate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, envelope_of, make_example

GOOD = """summary: Good
license: {code: MIT}
inputs: {text: {type: string}}
outputs: {out: {type: file, default: out.txt}}
"""
PIPELINE = """kind: pipeline
summary: One step
inputs: {text: {type: string}}
steps:
  only: {uses: good, with: {text: "${inputs.text}"}}
outputs: {out: "${only.out}"}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    make_example(folder, "good", GOOD)
    make_example(folder, "line", PIPELINE)
    return folder


def test_all_within_reach(bare: Run, mine: Path) -> None:
    result = bare("validate", "--examples", "mine")
    assert result.returncode == 0, result.stdout
    assert "ok good" in result.stdout and "ok line" in result.stdout and "ok tts" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("word", ["good", "mine/good", "mine/good/", "mine/good/example.yaml"])
def test_by_name_folder_and_file(bare: Run, mine: Path, word: str) -> None:
    result = bare("validate", word, "--examples", "mine")
    assert (result.returncode, result.stdout) == (0, "ok good\n")


def test_a_folder_of_examples(bare: Run, mine: Path) -> None:
    result = bare("validate", "./mine", "--examples", "mine")
    assert result.stdout == "ok good\nok line\n"


def test_the_current_folder(bare: Run, mine: Path) -> None:
    assert bare("validate", ".", cwd=mine / "good").stdout == "ok good\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("summary", "sumary", 2, "unknown key 'sumary'"),
        ("type: string", "type: sting", 4, "type"),
        ("license", "license: {}\nlicense", 4, "given twice"),
        ("out.txt", "../out.txt", 5, "not a plain file name"),
        ("{code: MIT}", "[", 5, "not valid YAML"),
    ],
)
def test_the_line_of_a_mistake(
    bare: Run, mine: Path, old: str, new: str, line: int, what: str
) -> None:
    manifest = mine / "good" / "example.yaml"
    manifest.write_text(manifest.read_text().replace(old, new, 1))
    result = bare("validate", "mine/good")
    assert result.returncode == 2
    assert result.stdout.startswith(f"mine/good/example.yaml:{line}: "), result.stdout
    assert what in result.stdout
    assert result.stderr == "error: 1 of 1 manifest is wrong\n"


def test_every_bad_one_is_told(bare: Run, mine: Path) -> None:
    for name in ("good", "line"):
        manifest = mine / name / "example.yaml"
        manifest.write_text(manifest.read_text().replace("summary", "sumary"))
    result = bare("validate", "./mine")
    assert result.returncode == 2
    assert result.stdout.count("hint: did you mean summary?") == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("uses: good", "uses: goood", 6, "there is no example 'goood'"),
        ("with: {text", "with: {txt", 6, "no input 'txt'"),
        ("only.out", "only.oot", 7, "no output 'oot'"),
        ("${inputs.text}", "${only.out}", 6, "circle"),
    ],
)
def test_the_graph_of_a_pipeline(
    bare: Run, mine: Path, old: str, new: str, line: int, what: str
) -> None:
    manifest = mine / "line" / "example.yaml"
    manifest.write_text(manifest.read_text().replace(old, new))
    result = bare("validate", "line", "--examples", "mine")
    assert result.returncode == 2
    assert f"example.yaml:{line}: " in result.stdout and what in result.stdout, result.stdout


def test_pipelines_that_use_each_other(bare: Run, mine: Path) -> None:
    make_example(mine, "other", PIPELINE.replace("uses: good", "uses: line"))
    manifest = mine / "line" / "example.yaml"
    manifest.write_text(manifest.read_text().replace("uses: good", "uses: other"))
    result = bare("validate", "line", "--examples", "mine")
    assert result.returncode == 2
    assert "example.yaml:" in result.stdout and "circle" in result.stdout, result


def test_what_lies_beside_the_manifest(bare: Run, mine: Path) -> None:
    (mine / "good" / "predict.py").unlink()
    result = bare("validate", "mine/good")
    assert result.returncode == 2
    assert "mine/good/example.yaml:1: good/predict.py is missing" in result.stdout


def test_an_example_for_virtual_environments_needs_its_lock(bare: Run, mine: Path) -> None:
    manifest = mine / "good" / "example.yaml"
    manifest.write_text(manifest.read_text() + "engines: [docker, venv]\n")
    result = bare("validate", "mine/good")
    assert result.returncode == 2 and "good/requirements.lock is missing" in result.stdout
    (mine / "good" / "requirements.lock").write_text("")
    assert bare("validate", "mine/good").returncode == 0


def test_samples_that_are_not_there(bare: Run, tmp_path: Path) -> None:
    text = GOOD.replace("text: {type: string}", "clip: {type: video}")
    make_example(tmp_path, "video", text + "samples: {clip: samples/none.mp4}\n")
    result = bare("validate", "./video")
    assert result.returncode == 2
    assert "video/example.yaml:6: sample 'clip': there is no file samples/none.mp4" in result.stdout


def test_json(bare: Run, mine: Path) -> None:
    good = envelope_of(bare("validate", "good", "--examples", "mine", "--json"), "validate")
    assert good["data"]["examples"][0]["good"] is True
    (mine / "good" / "example.yaml").write_text("name: good\nkind: modle\n")
    result = bare("validate", "good", "--examples", "mine", "--json")
    bad = envelope_of(result, "validate", 2)
    assert bad["error"]["code"] == "bad_manifest"
    assert bad["data"]["examples"][0]["error"].startswith("mine/good/example.yaml:2: ")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("word", "error", "hint"),
    [
        ("goood", "there is no example 'goood'", "did you mean good?"),
        ("./nowhere", "there is no folder ./nowhere", ""),
        (".", ". holds no example.yaml", "name the folder of an example"),
    ],
)
def test_nothing_by_that_name(bare: Run, mine: Path, word: str, error: str, hint: str) -> None:
    (mine.parent / "empty").mkdir()
    result = bare("validate", word, "--examples", str(mine), cwd=mine.parent / "empty")
    assert (result.returncode, result.stdout) == (2, "")
    expected = [f"error: {error}"] + ([f"hint: {hint}"] if hint else [])
    assert result.stderr.splitlines() == expected


def test_the_examples_of_the_package_are_good(bare: Run) -> None:
    assert bare("validate").returncode == 0


def test_a_token_that_would_be_in_the_image(bare: Run, mine: Path) -> None:
    with (mine / "good" / "Dockerfile").open("a") as stream:
        stream.write("ARG HF_TOKEN\n")
    line = len((mine / "good" / "Dockerfile").read_text().splitlines())
    result = bare("validate", "mine/good")
    assert result.returncode == 2
    assert f"Dockerfile:{line}: ARG HF_TOKEN would be in the image" in result.stdout
    assert "secrets:" in result.stdout + result.stderr
