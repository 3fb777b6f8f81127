"""What cvl init writes runs as it is."""

from __future__ import annotations

import wave
from pathlib import Path

from tests.conftest import data_of, run_cvl

# --examples says where it is, and that it is trusted.
PREDICT = ("run", "mine", "predict", "--examples", "examples")
TEST = ("run", "mine", "test", "--examples", "examples", "--json")


def test_a_new_model_runs_at_once(example_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    assert run_cvl(example_env, tmp_path, "init", "mine").returncode == 0
    assert data_of(run_cvl(example_env, tmp_path, *TEST))["passed"]
    words = (
        *PREDICT,
        "--audio",
        "examples/mine/samples/tune.wav",
        "--seed",
    )
    seconds = []
    for seed, name, more in (("1", "a", ()), ("1", "b", ("--no-cache",)), ("2", "c", ())):
        result = run_cvl(example_env, tmp_path, *words, seed, "-o", f"{name}.wav", *more)
        assert result.returncode == 0, result.stderr
        with wave.open(str(tmp_path / f"{name}.wav")) as stream:
            seconds.append(stream.getnframes() / stream.getframerate())
    assert all(1.3 < length < 1.5 for length in seconds)  # 0.75 s, and three echoes of 0.2 s
    same, again, other = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert same == again != other


def test_a_new_model_runs_without_docker_too_and_gives_the_same(
    example_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "examples").mkdir()
    assert run_cvl(example_env, tmp_path, "init", "mine").returncode == 0
    words = (*PREDICT, "--audio", "examples/mine/samples/tune.wav")
    heard = []
    for engine in ("docker", "venv"):
        name = f"{engine}.wav"
        result = run_cvl(
            example_env, tmp_path, *words, "--seed", "1", "--engine", engine, "-o", name
        )
        assert result.returncode == 0, result.stderr
        with wave.open(str(tmp_path / name)) as stream:
            heard.append(stream.readframes(stream.getnframes()))
    assert heard[0] == heard[1]


def test_its_bad_input_is_told_in_a_sentence(example_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    assert run_cvl(example_env, tmp_path, "init", "mine").returncode == 0
    with wave.open(str(tmp_path / "8bit.wav"), "wb") as stream:
        stream.setparams((1, 1, 8000, 0, "NONE", "not compressed"))
        stream.writeframes(bytes(800))
    result = run_cvl(example_env, tmp_path, *PREDICT, "--audio", "8bit.wav", "-q")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: the audio is not a WAV file of 16 bits: not 16 bits",
        "hint: convert it: ffmpeg -i FILE -c:a pcm_s16le sound.wav",
    ]


def test_a_new_pipeline_runs_at_once(example_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    assert run_cvl(example_env, tmp_path, "init", "mine", "--pipeline").returncode == 0
    assert data_of(run_cvl(example_env, tmp_path, *TEST))["passed"]
    picture = "examples/mine/samples/portrait.jpg"
    words = (
        *PREDICT,
        "--text",
        "Hi",
        "--image",
        picture,
        "--talk.sway",
        "0",
    )
    data = data_of(run_cvl(example_env, tmp_path, *words, "-o", "me.mp4", "--json"))
    assert set(data["steps"]) == {"speech", "talk"}
    assert (tmp_path / "me.mp4").read_bytes()[4:8] == b"ftyp"
