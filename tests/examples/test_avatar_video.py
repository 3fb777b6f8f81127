"""Text in, talking portrait out: what a newcomer types, on the repository's own examples."""

from __future__ import annotations

import json
import shutil
import subprocess
import wave
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from cvl.core.media import inspect
from tests.conftest import data_of, run_cvl
from tests.examples.conftest import REPOSITORY, SAMPLE
from tests.support.engine import Engine


def _probe(video: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", str(video)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def test_make_demo_writes_a_finished_mp4_through_three_containers_and_says_where(
    example_env: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    target = tmp_path / "my own demo.mp4"
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    _borrow_installed_cvl(venv)
    command = ["make", "--no-print-directory", "demo", f"VENV={venv.parent}", f"OUTPUT={target}"]
    environment = {**example_env, "CVL_HOME": str(tmp_path / "home")}
    result = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().splitlines()[-1] == str(target)
    assert all(f"{step}: done" in result.stderr for step in ("speech", "talk", "final"))
    with target.open("rb") as stream:
        info = inspect(stream, target.stat().st_size)
    assert (info.video_codec, info.audio_codec, info.faststart) == ("h264", "aac", True)


def _borrow_installed_cvl(folder: Path) -> None:
    """make's own virtual environment would install cvl again; the one that runs the tests does."""
    import sys

    (folder.parent / "ready").touch()
    script = folder / "cvl"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m cvl "$@"\n')
    script.chmod(0o755)


def test_a_newcomers_own_image_and_text_become_a_video_as_long_as_the_speech(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    image = tmp_path / "my portrait, 2026.jpg"
    shutil.copy(SAMPLE, image)
    text = 'It said: "quotes", commas, and a dash - all are fine.'
    speech = tmp_path / "speech.wav"
    spoken = run_cvl(
        example_env, tmp_path, "run", "tts", "predict", "--text", text, "-o", str(speech)
    )
    assert spoken.returncode == 0, spoken.stderr
    arguments = ("--text", text, "--image", str(image), "--output", "out.mp4", "--json")
    data = data_of(run_cvl(example_env, tmp_path, "run", "avatar_video", "predict", *arguments))
    assert set(data["steps"]) == {"speech", "talk", "final"}
    assert data["steps"]["speech"]["cached"] is True
    found = _probe(tmp_path / "out.mp4")
    with wave.open(str(speech)) as stream:
        seconds = stream.getnframes() / stream.getframerate()
    streams = {stream["codec_type"]: stream["codec_name"] for stream in found["streams"]}
    assert streams == {"video": "h264", "audio": "aac"}
    assert abs(float(found["format"]["duration"]) - seconds) < 0.1
    given = ("--audio", str(speech), "--image", str(image), "--output", "given.mp4", "--json")
    data = data_of(run_cvl(example_env, tmp_path, "run", "avatar_video", "predict", *given))
    assert set(data["steps"]) == {"talk", "final"}
    assert abs(float(_probe(tmp_path / "given.mp4")["format"]["duration"]) - seconds) < 0.1


@pytest.mark.parametrize("example", ["tts", "portrait", "postprocess", "avatar_video"])
def test_an_examples_own_smoke_test_passes_and_writes_a_junit_file(
    example: str, example_env: dict[str, str], tmp_path: Path
) -> None:
    result = run_cvl(example_env, tmp_path, "run", example, "test")
    assert result.returncode == 0, result.stderr
    suite = ElementTree.parse(tmp_path / f"junit-{example}.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert suite.find("testcase").get("name") == example  # type: ignore[union-attr]
    assert [path.name for path in tmp_path.iterdir()] == [f"junit-{example}.xml"]


def test_a_smoke_test_that_fails_says_so_in_its_exit_code_and_in_its_junit_file(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "broken" / "tts"
    shutil.copytree(REPOSITORY / "examples" / "tts", folder)
    manifest = (folder / "example.yaml").read_text()
    head = manifest.partition("samples:")[0]
    (folder / "example.yaml").write_text(head + 'samples: {text: "..."}\n')
    environment = {**example_env, "CVL_EXAMPLES": str(folder.parent)}
    result = run_cvl(environment, tmp_path, "run", "tts", "test", "--junit", "report.xml")
    assert result.returncode == 2
    failure = ElementTree.parse(tmp_path / "report.xml").getroot().find("testcase/failure")
    assert failure is not None and failure.get("message")


def test_predict_py_works_by_itself_inside_the_image(
    example_env: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    built = data_of(run_cvl(example_env, tmp_path, "run", "tts", "build", "--json"))
    image = built["images"][0]["tag"]
    folder = tmp_path / "out"
    folder.mkdir()
    mount = f"type=bind,src={folder},dst=/out"
    words = ("--text", "Hello", "--output", "/out/hello.wav")
    engine.docker("run", "--rm", "--network", "none", "--mount", mount, image, *words)
    with wave.open(str(folder / "hello.wav")) as stream:
        assert stream.getnframes() > 1000


def test_a_picture_without_a_face_is_told_before_the_video_is_made(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    flat = tmp_path / "flat.png"
    source = ["-f", "lavfi", "-i", "color=gray:s=320x240", "-frames:v", "1", str(flat)]
    subprocess.run(["ffmpeg", "-v", "error", *source], check=True)
    arguments = ("--text", "Hello", "--image", str(flat), "--output", "out.mp4")
    result = run_cvl(example_env, tmp_path, "run", "avatar_video", "predict", *arguments)
    assert result.returncode == 2
    assert "face" in result.stderr and "hint: " in result.stderr
    assert not (tmp_path / "out.mp4").exists()
