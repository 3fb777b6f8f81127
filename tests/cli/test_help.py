"""Help fits a terminal, data is alone on stdout, and the nearest right word is named."""

from __future__ import annotations

import pytest

from cvl.cli.app import COMMANDS, GROUPS
from cvl.cli.commands.models import MODELS
from tests.cli.conftest import REPOSITORY, STUBS, Run

EXAMPLES = sorted(
    path.parent.name
    for path in [*REPOSITORY.glob("examples/*/example.yaml"), *STUBS.glob("*/example.yaml")]
)
LEAVES = [name for name in COMMANDS if name not in GROUPS] + [f"models {name}" for name in MODELS]


def assert_help(bare: Run, *words: str) -> str:
    result = bare(*words, without=("COLUMNS",))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    too_long = [line for line in result.stdout.splitlines() if len(line) > 80]
    assert too_long == []
    assert result.stdout.startswith("Usage: cvl")
    return result.stdout


def test_of_models(bare: Run) -> None:
    text = assert_help(bare, "models", "--help")
    for name, (_, what) in MODELS.items():
        assert f"  {name} " in text and what in text
    alone = bare("models")
    assert (alone.returncode, alone.stdout, alone.stderr) == (2, "", text)


def test_of_cvl(bare: Run) -> None:
    text = assert_help(bare, "--help")
    for name, (_, what) in COMMANDS.items():
        assert f"  {name} " in text and what in text
    alone = bare()
    assert (alone.returncode, alone.stdout, alone.stderr) == (2, "", text)


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", LEAVES)
def test_of_every_command(bare: Run, name: str, flag: str) -> None:
    text = assert_help(bare, *name.split(), flag)
    assert text.startswith(f"Usage: cvl {name}")
    for option in ("--examples DIR", "--json", "--debug", "--help"):
        assert option in text


@pytest.mark.parametrize("example", EXAMPLES)
def test_of_every_example(bare: Run, example: str) -> None:
    assert "predict" in assert_help(bare, "run", example, "--help")
    for verb in ("build", "test"):
        assert_help(bare, "run", example, verb, "--help")
    assert "--output" in assert_help(bare, "run", example, "predict", "--help")


def test_options_of_an_example(bare: Run) -> None:
    text = assert_help(bare, "run", "tts", "predict", "--help")
    for wanted in ("--text TEXT", "--sample-rate", "[required]", "[0.5 to 2]"):
        assert wanted in text


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["lits"], "there is no command 'lits'", "did you mean cvl list?"),
        (["docter"], "there is no command 'docter'", "did you mean cvl doctor?"),
        (["list", "--exmaples", "x"], "there is no option --exmaples", "did you mean --examples?"),
        (["models", "lsit"], "there is no command 'lsit'", "did you mean cvl models list?"),
        (["models", "rm", "--dry-rnu"], "there is no option --dry-rnu", "did you mean --dry-run?"),
        (["gc", "--dry-rnu"], "there is no option --dry-rnu", "did you mean --dry-run?"),
        (["info", "portriat"], "there is no example 'portriat'", "did you mean portrait?"),
        (["validate", "portriat"], "there is no example 'portriat'", "did you mean portrait?"),
        (["run", "portriat"], "there is no example 'portriat'", "did you mean portrait?"),
        (["run", "tts", "predcit"], "tts has no verb 'predcit'", "did you mean predict?"),
        (
            ["run", "tts", "predict", "--txt", "a"],
            "there is no option --txt",
            "did you mean --text?",
        ),
    ],
)
def test_the_nearest_right_word(bare: Run, words: list[str], error: str, hint: str) -> None:
    result = bare(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [f"error: {error}", f"hint: {hint}"]


@pytest.mark.parametrize(
    "words", [["list"], ["info", "tts"], ["validate", "tts"], ["ps"], ["gc", "--dry-run"]]
)
def test_no_escapes_and_no_messages_on_stdout(bare: Run, words: list[str]) -> None:
    result = bare(*words, env={"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color"})
    assert result.returncode == 0
    assert "\x1b" not in result.stdout + result.stderr
    assert "hint:" not in result.stdout and "nothing" not in result.stdout
