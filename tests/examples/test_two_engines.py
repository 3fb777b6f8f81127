"""One behaviour, two engines: the same samples in a container and in a virtual environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from cvl.core.media import inspect
from tests.conftest import data_of, environment_for, run_cvl
from tests.examples.conftest import EXAMPLES, REPOSITORY, SAMPLE
from tests.support import engine as engines
from tests.support import processes

ENGINES = ("docker", "venv")
LOUDNESS_TOLERANCE = 0.5  # LU
BARE = ("sh", "env", "make", "git", "python3", "touch", "rm", "mkdir", "cat", "dirname")


def made_by_both(
    environment: dict[str, str], folder: Path, name: str, *words: str, output: str
) -> tuple[Path, Path]:
    """What each engine makes of the same request with the same seed."""
    made = []
    for engine in ENGINES:
        target = folder / engine / output
        target.parent.mkdir()
        options = ("--engine", engine, "--seed", "7", "--output", str(target), "--json")
        data = data_of(run_cvl(environment, folder, "run", name, "predict", *words, *options))
        assert {step["image"].partition(":")[0] for step in data["steps"].values()} == {
            {"docker": "sha256", "venv": "venv"}[engine]
        }
        made.append(target)
    return made[0], made[1]


def probed(video: Path) -> dict[str, Any]:
    """Frames that decode, and what a player is told: codecs, sizes, rates and durations."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-of", "json", "-show_streams"]
    streams = json.loads(subprocess.check_output([*command, str(video)]))["streams"]
    names = ("codec_name", "nb_read_frames", "width", "height", "r_frame_rate", "duration")
    names += ("pix_fmt", "sample_rate", "channels")
    return {s["codec_type"]: {name: s.get(name) for name in names} for s in streams}


def loudness(video: Path) -> float:
    """Integrated loudness in LUFS."""
    command = ["ffmpeg", "-nostats", "-i", str(video), "-af", "ebur128", "-f", "null", "-"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", printed)[-1])


def likeness(one: Path, other: Path) -> float:
    """SSIM over all frames: 1 for the same pictures."""
    command = ["ffmpeg", "-nostats", "-i", str(one), "-i", str(other)]
    command += ["-lavfi", "ssim", "-f", "null", "-"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return float(re.findall(r"All:([\d.]+)", printed)[-1])


@pytest.mark.parametrize("voice", ["en-us", "de+f3"])
def test_both_say_the_same_to_the_last_bit(
    example_env: dict[str, str], tmp_path: Path, voice: str
) -> None:
    words = ("--text", "Hello there. It is 3.14 degrees, and so on!", "--voice", voice)
    one, other = made_by_both(example_env, tmp_path, "tts", *words, output="a.wav")
    with wave.open(str(one)) as left, wave.open(str(other)) as right:
        assert left.getparams() == right.getparams()
        assert left.readframes(1 << 30) == right.readframes(1 << 30)


def test_both_finish_a_video_alike(example_env: dict[str, str], tmp_path: Path) -> None:
    samples = EXAMPLES / "postprocess" / "samples"
    words = ("--video", samples / "clip.mp4", "--music", samples / "music.mp3", "--loudness", -16,
             "--subtitles", samples / "lines.srt", "--watermark", "Made with cvl: 100 %",
             "--fade_in", 0.2, "--fade_out", 0.2)  # fmt: skip
    one, other = made_by_both(
        example_env, tmp_path, "postprocess", *map(str, words), output="a.mp4"
    )
    assert probed(one) == probed(other)
    assert abs(loudness(one) - loudness(other)) < LOUDNESS_TOLERANCE
    assert likeness(one, other) > 0.95


def test_both_make_the_portrait_speak_alike(example_env: dict[str, str], tmp_path: Path) -> None:
    words = ("--text", "Hello. This portrait speaks.", "--image", str(SAMPLE))
    one, other = made_by_both(example_env, tmp_path, "avatar_video", *words, output="a.mp4")
    assert probed(one) == probed(other)
    assert abs(loudness(one) - loudness(other)) < LOUDNESS_TOLERANCE
    assert likeness(one, other) > 0.95


def test_make_demo_on_a_machine_with_neither_docker_nor_ffmpeg(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in BARE:
        found = sys.executable if name == "python3" else shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv.parent / "ready").touch()  # the cvl that runs the tests is as good as one of its own
    script = venv / "cvl"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m cvl "$@"\n')
    script.chmod(0o755)
    bare = {**example_env, "PATH": str(programs), "CVL_HOME": str(tmp_path / "home")}
    del bare["CVL_EXAMPLES"]
    bare["DOCKER_HOST"] = f"unix://{tmp_path}/no.sock"
    target = tmp_path / "demo.mp4"
    result = processes.measured(
        ["make", "--no-print-directory", "demo", f"VENV={venv.parent}", f"OUTPUT={target}"],
        bare, REPOSITORY, timeout_s=180,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "engine: venv, because no Docker engine answers" in result.err
    with target.open("rb") as stream:
        info = inspect(stream, os.path.getsize(target))
    assert (info.video_codec, info.audio_codec, info.faststart) == ("h264", "aac", True)


def test_the_demo_with_an_engine_that_has_no_images_and_no_registry_says_why_it_took_venv(
    tmp_path: Path,
) -> None:
    bare = engines.start(tmp_path / "bare", namespace=True, hook=False)
    try:
        environment = environment_for(bare, tmp_path / "home")
        result = run_cvl(environment, tmp_path, "demo")
    finally:
        bare.stop()
    assert result.returncode == 0, result.stderr
    why = "engine: venv, because debian:bookworm-slim cannot be pulled: "
    assert sum(line.startswith(why) for line in result.stderr.splitlines()) == 1
    with (tmp_path / "demo.mp4").open("rb") as stream:
        info = inspect(stream, (tmp_path / "demo.mp4").stat().st_size)
    assert (info.video_codec, info.audio_codec, info.faststart) == ("h264", "aac", True)
