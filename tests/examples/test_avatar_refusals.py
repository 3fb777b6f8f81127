"""What avatars cannot speak, or nobody can speak from, is said before anything is loaded; where the
manifest says it, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.examples.models import SAMPLE, Models, sound, undemanding

pytestmark = pytest.mark.docker
AVATARS = ("hallo2", "live_avatar", "wan_s2v")
TONE = "sine=duration=1"


@pytest.fixture(scope="module", params=AVATARS)
def avatar(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def examples(avatar: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return undemanding(avatar, tmp_path_factory.mktemp("examples"))


def refused(models: Models, avatar: str, examples: str, audio: str, image: str) -> str:
    """The message; there is a hint with it, and nothing was published."""
    words = ("--audio", audio, "--image", image, "--gpus", "none", "--seed", "5")
    code, message, hint = models.fails(avatar, *words, CVL_EXAMPLES=examples)
    assert code == 2 and hint, message
    return message


SPEECH = {
    "silence": ("anullsrc=r=16000:d=1", "s.wav", "silent"),
    "a tenth of a second": ("sine=duration=0.1", "s.wav", "at least 0.25 s"),
    "more than two hours": ("sine=sample_rate=8000:duration=7260", "s.flac", "lasts 7260"),
    "a video without sound": ("testsrc=size=64x64:duration=1", "s.mp4", "is not audio"),
}


@pytest.mark.parametrize("name", SPEECH)
def test_what_nobody_can_speak(
    name: str, models: Models, avatar: str, examples: str, tmp_path: Path
) -> None:
    source, file, told = SPEECH[name]
    audio = sound(tmp_path, file, source)
    assert told in refused(models, avatar, examples, audio, str(SAMPLE))


PICTURES = {
    "no face": ((400, 400), "no face was found"),
    "a tiny one": ((40, 40), "too small: 40x40"),
    "a huge one": ((12000, 10000), "12000x10000 pixels"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_cannot_speak(
    name: str, models: Models, avatar: str, examples: str, tmp_path: Path
) -> None:
    size, told = PICTURES[name]
    Image.new("L", size, 90).save(tmp_path / "picture.png")
    audio = sound(tmp_path, "tone.wav", TONE)
    assert told in refused(models, avatar, examples, audio, str(tmp_path / "picture.png"))
