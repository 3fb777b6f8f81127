"""What the command line says of steps whose outputs may be given."""

from __future__ import annotations

import pytest

from tests.cli.conftest import REPOSITORY, Run, envelope_of

EXAMPLES = REPOSITORY / "examples"
ENV = {"CVL_EXAMPLES": str(EXAMPLES)}
IMAGE = str(EXAMPLES / "avatar_video" / "samples" / "portrait.jpg")
AUDIO = str(EXAMPLES / "portrait" / "samples" / "hello.wav")
PREDICT = ("run", "avatar_video", "predict")
GIVEN = (*PREDICT, "--audio", AUDIO, "--image", IMAGE)


def test_info_shows_what_stands_for_a_step(bare: Run) -> None:
    steps = envelope_of(bare("info", "avatar_video", "--json", env=ENV), "info")["data"]["steps"]
    assert {step["name"]: step["unless"] for step in steps} == {
        "speech": {"audio": "${inputs.audio}"},
        "picture": {"image": "${inputs.image}"},
        "talk": {},
        "final": {},
    }
    assert "unless given image = ${inputs.image}" in bare("info", "avatar_video", env=ENV).stdout
    assert envelope_of(bare("validate", "avatar_video", "--json", env=ENV), "validate")["ok"]


def test_a_dry_run_shows_what_runs_and_what_does_not(bare: Run) -> None:
    data = envelope_of(bare(*GIVEN, "--dry-run", "--json", env=ENV), "run")["data"]
    assert [step["step"] for step in data["steps"]] == ["talk", "final"]
    assert data["steps"][0]["inputs"]["audio"] == AUDIO
    assert data["not_run"] == [
        {"step": "speech", "given": ["audio"]}, {"step": "picture", "given": ["image"]},
    ]  # fmt: skip
    shown = bare(*GIVEN, "--dry-run", env=ENV).stdout
    assert "  picture: does not run, image is given\n" in shown
    assert "stable-diffusion" not in shown
    several = envelope_of(bare(*GIVEN, "--dry-run", "--seed", "1,2", "--json", env=ENV), "run")
    assert [step["step"] for step in several["data"]["not_run"]] == ["speech", "picture"]


def test_a_dry_run_with_a_description_names_the_weights(bare: Run) -> None:
    words = (*PREDICT, "--text", "Hi", "--describe", "a sailor", "--picture.steps", "3")
    shown = bare(*words, "--dry-run", env=ENV).stdout
    assert "weights stabilityai/stable-diffusion-xl-base-1.0: missing" in shown
    assert "    steps = 3\n" in shown
    assert "does not run" not in shown


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (PREDICT, "missing_input", "error: --text is needed, or --audio\nhint: cvl run avatar_v"),
        ((*GIVEN, "--text", "Hi"), "not_both", "error: --text has no use when --audio is given\n"),
        ((*GIVEN, "--text", "Hi"), "not_both", "hint: give --text or --audio, not both\n"),
        ((*GIVEN, "--speech.pause", "2"), "not_both", "error: --speech.pause has no use when --a"),
    ],
)
def test_too_little_and_too_much_are_bad_input(
    words: tuple[str, ...], code: str, said: str, bare: Run
) -> None:
    result = bare(*words, env=ENV)
    assert result.returncode == 2
    assert said in result.stderr
    failed = envelope_of(bare(*words, "--json", env=ENV), "run", 2)
    assert failed["error"]["code"] == code
