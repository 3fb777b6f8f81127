"""wan_s2v from its repo, in a container on the CPU, with a small checkpoint in the real layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import run_cvl
from tests.examples.models import GONE, SAMPLE, Models, pixels, probe, sound, undemanding

pytestmark = pytest.mark.docker
REPO = "Wan-AI/Wan2.2-S2V-14B"
SMALL = (
    "--image", str(SAMPLE), "--size", "64*64", "--sample-steps", "1", "--infer-frames", "8",
    "--gpus", "none", "--seed", "5",
)  # fmt: skip


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return undemanding("wan_s2v", tmp_path_factory.mktemp("examples"))


@pytest.fixture
def film(models: Models, examples: str) -> Any:
    """`film(name, *words)` makes NAME.mp4 and gives the run's data."""

    def make(name: str, *words: str, **more: str) -> dict[str, Any]:
        given = (*SMALL, *words, "-o", f"{name}.mp4")
        return models.run("wan_s2v", *given, CVL_EXAMPLES=examples, **more)

    return make


@pytest.fixture
def tone(tmp_path: Path) -> str:
    return sound(tmp_path, "tone.wav", "sine=frequency=300:duration=0.6")


def test_a_speech_of_two_clips_is_as_long_as_the_speech_and_a_seed_says_what_comes(
    film: Any, models: Models, tone: str, tmp_path: Path
) -> None:
    film("first", "--audio", tone)
    found = probe(tmp_path / "first.mp4")
    assert (found.frames, found.fps, found.width, found.height) == (10, 16, 64, 64)
    assert found.audio
    fetched = {request.file for request in models.hub.log(repo=REPO) if request.file}
    assert not [name for name in fetched if name.endswith((".bin", ".msgpack", ".mp4"))]
    assert len([name for name in fetched if name.startswith("diffusion_pytorch_model-")]) == 4

    film("again", "--audio", tone, "--no-cache", "--offline", HF_ENDPOINT=GONE)
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "first.mp4").read_bytes()
    other = sound(tmp_path, "other.mp3", "anoisesrc=r=48000:d=0.6:a=0.5:seed=3", "-ac", "2")
    film("other", "--audio", other)
    assert np.abs(pixels(tmp_path / "other.mp4") - pixels(tmp_path / "first.mp4")).max() > 0.05


def test_exact_rungs_give_the_same_bytes_and_fp8_is_another_step(
    film: Any, tone: str, tmp_path: Path
) -> None:
    words = ("--audio", tone, "--num-clips", "1")
    for rung in ("none", "model", "group", "sequential"):
        film(rung, *words, "--no-cache", "--offload", rung)
        assert (tmp_path / f"{rung}.mp4").read_bytes() == (tmp_path / "none.mp4").read_bytes()
    data = film("fp8", *words, "--offload", "fp8")
    assert not any(step["cached"] for step in data["steps"].values())
    assert np.abs(pixels(tmp_path / "fp8.mp4") - pixels(tmp_path / "none.mp4")).mean() < 0.04


@pytest.mark.parametrize("avatar", ["wan_s2v", "live_avatar"])
def test_where_there_is_no_gpu_that_is_said_and_the_portrait_takes_over_when_it_may(
    avatar: str, example_env: dict[str, str], tmp_path: Path
) -> None:
    words = (
        "run", "avatar_video", "predict", "--text", "Hello", "--image", str(SAMPLE), "--json",
        "--avatar", avatar,
    )  # fmt: skip
    refused = run_cvl(example_env, tmp_path, *words, "-o", "a.mp4")
    error = json.loads(refused.stdout)["error"]
    assert refused.returncode == 3 and "GPU" in error["message"] and "--fallback" in error["hint"]
    assert not (tmp_path / "a.mp4").exists()
    made = run_cvl(example_env, tmp_path, *words, "--fallback", "-o", "b.mp4")
    assert json.loads(made.stdout)["data"]["degraded"] is True
    assert probe(tmp_path / "b.mp4").audio
