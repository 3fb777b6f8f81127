"""--commercial on the command line: where it is set, and what is refused with which exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, envelope_of, make_example

NICE = """\
summary: May not be sold
license: {code: MIT, weights: CC-BY-NC-4.0}
tasks: [talk]
inputs: {}
outputs: {result: {type: file, default: result.txt}}
"""
TELL = NICE.replace("CC-BY-NC-4.0", "Apache-2.0, commercial: true")
PIPE = """\
kind: pipeline
summary: A choice
inputs: {avatar: {type: choice, choices: [nice, free], default: nice}}
steps: {talk: {uses: "${inputs.avatar}"}}
outputs: {result: "${talk.result}"}
"""
NICE_REFUSED = [
    "error: talk (nice) does not allow commercial use: code MIT, weights CC-BY-NC-4.0",
    "hint: give --avatar free",
]


@pytest.fixture(autouse=True)
def examples(bare_env: dict[str, str], tmp_path: Path) -> None:
    for name, text in (("nice", NICE), ("free", TELL), ("pipe", PIPE)):
        make_example(tmp_path / "sold", name, text)
    bare_env["CVL_EXAMPLES"] = str(tmp_path / "sold")


def test_a_run_is_refused_before_an_engine_is_asked(bare: Run, tmp_path: Path) -> None:
    for more in ((), ("--dry-run",), ("--seed", "1..3")):
        result = bare("run", "pipe", "predict", "--commercial", *more)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.splitlines() == NICE_REFUSED
    assert not (tmp_path / "home" / "state" / "cvl.db").exists()
    failed = envelope_of(bare("run", "nice", "predict", "--commercial", "--json"), "run", 2)
    assert failed["error"]["code"] == "not_commercial"
    assert failed["error"]["hint"] == "use free: the same task, and commercial use allowed"
    allowed = bare("run", "pipe", "predict", "--commercial", "--avatar", "free", "--dry-run")
    assert allowed.returncode == 0


def test_flag_over_environment_over_files(bare: Run, tmp_path: Path) -> None:
    plan = ("run", "nice", "predict", "--dry-run")
    (tmp_path / "cvl.toml").write_text("commercial = true\n")
    assert bare(*plan).returncode == 2
    assert bare(*plan, env={"CVL_COMMERCIAL": "0"}).returncode == 0
    assert bare(*plan, "--commercial", env={"CVL_COMMERCIAL": "0"}).returncode == 2
    assert bare(*plan, "--no-commercial", env={"CVL_COMMERCIAL": "1"}).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("svd", "--image", "me.jpg"), "use image_to_video"),
        (
            ("text_to_video", "--prompt", "x", "--model", "cerspense/zeroscope_v2_576w"),
            "give --model Wan-AI/Wan2.1-T2V-1.3B-Diffusers or ",
        ),
        (
            ("text_to_video", "--prompt", "x", "--model", "Lightricks/LTX-Video"),
            "or read its licence and give --no-commercial if it allows it",
        ),
    ],
    ids=["svd", "paid", "unknown"],
)
def test_the_examples_of_the_package(
    bare: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    picture = Path(__file__).parent.parent.parent / "examples" / "svd" / "samples" / "portrait.jpg"
    (tmp_path / "me.jpg").write_bytes(picture.read_bytes())
    result = bare("run", words[0], "predict", "--commercial", "--dry-run", *words[1:])
    assert result.returncode == 2
    assert said in result.stderr.splitlines()[1]
