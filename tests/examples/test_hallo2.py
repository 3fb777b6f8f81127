"""hallo2 from its repo, in a container on the CPU, with a small checkpoint in the real layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import run_cvl
from tests.examples.models import EXAMPLES, GONE, SAMPLE, Models, pixels, probe, sound, undemanding

pytestmark = pytest.mark.docker
REPO = "fudan-generative-ai/hallo2"
SMALL = (
    "--image", str(SAMPLE), "--size", "256", "--steps", "1", "--cfg-scale", "1", "--gpus", "none",
    "--seed", "5",
)  # fmt: skip


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return undemanding("hallo2", tmp_path_factory.mktemp("examples"))


@pytest.fixture
def film(models: Models, examples: str) -> Any:
    """`film(name, *words)` makes NAME.mp4 and gives its bytes."""

    def make(name: str, *words: str, **more: str) -> bytes:
        models.run("hallo2", *words, "-o", f"{name}.mp4", CVL_EXAMPLES=examples, **more)
        return (models.folder / f"{name}.mp4").read_bytes()

    return make


def files(models: Models) -> set[str]:
    """Of the repo, that were asked for."""
    asked = {request.file for request in models.hub.log(repo=REPO) if request.file}
    return {name for name in asked if not name.startswith("api:")}


def test_three_windows_are_a_video_as_long_as_the_speech_and_a_seed_says_what_comes(
    film: Any, models: Models, tmp_path: Path
) -> None:
    tone = sound(tmp_path, "tone.wav", "sine=frequency=300:duration=1.51")
    first = film("first", *SMALL, "--audio", tone)
    found = probe(tmp_path / "first.mp4")
    assert (found.frames, found.fps, found.width, found.height) == (38, 25, 256, 256)
    assert found.audio
    fetched = files(models)
    assert "hallo2/net.pth" in fetched and len(fetched) == 11
    again = ("--audio", tone, "--no-cache", "--offline")
    assert film("again", *SMALL, *again, HF_ENDPOINT=GONE) == first
    other = sound(tmp_path, "other.mp3", "anoisesrc=r=48000:d=1.51:a=0.5:seed=3", "-ac", "2")
    assert film("other", *SMALL, "--audio", other) != first
    difference = np.abs(pixels(tmp_path / "other.mp4") - pixels(tmp_path / "first.mp4"))
    assert difference.max() > 0.05


def test_rungs_give_the_same_bytes_and_the_voice_alone_others(film: Any, tmp_path: Path) -> None:
    words = (*SMALL, "--audio", sound(tmp_path, "tone.wav", "sine=duration=0.5"), "--no-cache")
    every = film("none", *words, "--offload", "none")
    assert film("model", *words, "--offload", "model") == every
    assert film("sequential", *words, "--offload", "sequential") == every
    assert film("alone", *words, "--separate-vocals") != every
    assert probe(tmp_path / "alone.mp4").frames == 13


def test_super_resolution_fetches_its_files_and_tells_their_licence(
    film: Any, models: Models, examples: str, tmp_path: Path
) -> None:
    words = (*SMALL, "--audio", sound(tmp_path, "tone.wav", "sine=duration=0.5"))
    plain = film("plain", *words)
    before = files(models)
    sharp = ("--super-resolution", "codeformer", "--upscale", "1", "--bg-upsampler", "realesrgan")
    data = models.run("hallo2", *words, *sharp, "-o", "sharp.mp4", CVL_EXAMPLES=examples)
    assert (tmp_path / "sharp.mp4").read_bytes() != plain
    found = probe(tmp_path / "sharp.mp4")
    assert (found.frames, found.width, found.height) == (13, 512, 512)
    assert files(models) - before == {
        "hallo2/net_g.pth", "facelib/detection_Resnet50_Final.pth",
        "facelib/parsing_parsenet.pth", "realesrgan/RealESRGAN_x2plus.pth",
    }  # fmt: skip
    assert "S-Lab License 1.0" in json.dumps(data)


@pytest.mark.parametrize(
    ("pipeline", "chosen", "steps"),
    [("emo", (), {"talk"}), ("avatar_video", ("--avatar", "hallo2"), {"talk", "final"})],
)
def test_pipelines_run_it_as_their_avatar(
    pipeline: str, chosen: tuple[str, ...], steps: set[str], models: Models, examples: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    tone = sound(tmp_path, "tone.wav", "sine=duration=0.5")
    options = ("--talk.size", "256", "--talk.steps", "1", "--talk.cfg-scale", "1")
    both = f"{examples}:{EXAMPLES}"
    words = ("--audio", tone, "--image", str(SAMPLE), *options, "--gpus", "none", "--seed", "5")
    data = models.run(pipeline, *chosen, *words, "-o", "film.mp4", CVL_EXAMPLES=both)
    assert set(data["steps"]) == steps and not data["degraded"]
    assert probe(tmp_path / "film.mp4").frames == 13


def test_its_weights_are_not_for_commercial_use(models: Models, tmp_path: Path) -> None:
    audio = sound(tmp_path, "tone.wav", "sine=duration=1")
    result = run_cvl(
        models.environment, tmp_path, "run", "hallo2", "predict", "--json", *SMALL,
        "--audio", audio, "--commercial",
    )  # fmt: skip
    error = json.loads(result.stdout)["error"]
    assert result.returncode == 2 and error["code"] == "not_commercial"
    assert "InsightFace" in error["message"]
