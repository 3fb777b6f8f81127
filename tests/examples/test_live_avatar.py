"""live_avatar from its repos, in a container on the CPU, with small checkpoints of real layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.examples.models import (
    EXAMPLES,
    GONE,
    SAMPLE,
    Models,
    pixels,
    probe,
    sound,
    undemanding,
)

pytestmark = pytest.mark.docker
BASE, LORA = "Wan-AI/Wan2.2-S2V-14B", "Quark-Vision/Live-Avatar"
SMALL = (
    "--image", str(SAMPLE), "--size", "64*64", "--sample-steps", "2", "--infer-frames", "24",
    "--gpus", "none", "--seed", "5",
)  # fmt: skip
OF_TALK = ("--size", "--sample-steps", "--infer-frames")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return undemanding("live_avatar", tmp_path_factory.mktemp("examples"))


def test_a_video_is_as_long_as_the_speech_and_a_seed_says_what_comes(
    models: Models, examples: str, tmp_path: Path
) -> None:
    """Of 1.3 s: two clips of two blocks."""

    def film(name: str, audio: str, *words: str, **more: str) -> bytes:
        given = ("--audio", audio, *SMALL, *words, "-o", f"{name}.mp4")
        models.run("live_avatar", *given, CVL_EXAMPLES=examples, **more)
        return (tmp_path / f"{name}.mp4").read_bytes()

    tone = sound(tmp_path, "tone.wav", "sine=frequency=300:duration=1.3")
    first = film("first", tone)
    found = probe(tmp_path / "first.mp4")
    assert (found.frames, found.fps, found.width, found.height) == (33, 25, 64, 64)
    assert found.audio
    files = {request.file for request in models.hub.log(repo=LORA) if request.file}
    assert "liveavatar.safetensors" in files
    again = ("--no-cache", "--offline")
    assert film("again", tone, *again, HF_ENDPOINT=GONE) == first
    assert film("group", tone, *again, "--offload", "group") == first
    other = sound(tmp_path, "other.mp3", "anoisesrc=r=48000:d=1.3:a=0.5:seed=3", "-ac", "2")
    assert film("other", other) != first
    difference = np.abs(pixels(tmp_path / "other.mp4") - pixels(tmp_path / "first.mp4"))
    assert difference.max() > 0.05


def test_a_text_is_spoken_by_a_picture_and_finished_in_three_containers(
    models: Models, examples: str, tmp_path: Path
) -> None:
    """What the chain is for: tts, this avatar, ffmpeg."""
    words = [word.replace("--", "--talk.") if word in OF_TALK else word for word in SMALL]
    asked = ("--text", "Good day.", "--avatar", "live_avatar", *words, "-o", "film.mp4")
    roots = f"{examples}{os.pathsep}{EXAMPLES}"
    data = models.run("avatar_video", *asked, CVL_EXAMPLES=roots)
    assert set(data["steps"]) == {"speech", "talk", "final"}
    found = probe(tmp_path / "film.mp4")
    assert (found.fps, found.width, found.height) == (25, 64, 64)
    assert found.audio and found.frames > 12
    told = json.loads(models("inspect", "film.mp4", "--json").stdout)["data"]
    assert BASE in json.dumps(told)


def test_a_portrait_that_was_only_described_is_drawn_and_speaks(
    models: Models, examples: str, tmp_path: Path
) -> None:
    """By `image`; of a small model's picture nobody finds the face."""
    tone = sound(tmp_path, "tone.wav", "sine=frequency=300:duration=0.5")
    words = [word.replace("--", "--talk.") if word in OF_TALK else word for word in SMALL[2:]]
    drawn = ("--describe", "an old sailor", "--picture.size", "128x128", "--picture.steps", "1")
    asked = ("--audio", tone, "--avatar", "live_avatar", "--talk.face", "any", *drawn, *words)
    roots = f"{examples}{os.pathsep}{EXAMPLES}"
    data = models.run("avatar_video", *asked, "-o", "film.mp4", CVL_EXAMPLES=roots)
    assert set(data["steps"]) == {"picture", "talk", "final"}
    found = probe(tmp_path / "film.mp4")
    assert (found.fps, found.frames, found.audio) == (25, 13, True)
