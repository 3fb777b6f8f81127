"""The examples as their users run them: `cvl run ...` in real containers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import environment_for, run_cvl
from tests.examples.models import models, served
from tests.support.engine import Engine

__all__ = ["models", "served"]

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
SAMPLE = EXAMPLES / "portrait" / "samples" / "portrait.jpg"


LIMIT_S = 900
"""Of a test of models: the first of all also has torch to install and checkpoints to make, and the
first of an example its image to build."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a container of an example is a Docker test."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if {"example_env", "render", "speech"} & fixtures:
            item.add_marker(pytest.mark.docker)
        if "served" in fixtures:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def example_env(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a cvl that has the repository's examples; images are built once a session."""
    home = tmp_path_factory.mktemp("examples") / "home"
    return {**environment_for(engine, home), "CVL_EXAMPLES": str(EXAMPLES)}


class Render:
    """Makes the portrait speak; see test_portrait_quality.py."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.warnings: list[str] = []
        self._environment = environment
        self._folder = folder
        self._numbers = itertools.count()

    def __call__(self, audio: Path, **options: Any) -> Path:
        output = self._folder / f"render{next(self._numbers)}.mp4"
        document = self._run(audio, output, options)
        assert document["ok"], document["error"]
        self.warnings = document["data"]["warnings"]
        return output

    def fails(self, audio: Path, **options: Any) -> SimpleNamespace:
        """The user error that these options end with: .code, .message, .hint."""
        document = self._run(audio, self._folder / "fails.mp4", options)
        assert not document["ok"]
        return SimpleNamespace(**document["error"])

    def _run(self, audio: Path, output: Path, options: dict[str, Any]) -> dict[str, Any]:
        given = {"image": SAMPLE, "audio": audio, "output": output, **options}
        words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        arguments = ("run", "portrait", "predict", *words, "--no-cache", "--json", "-q")
        result = run_cvl(self._environment, self._folder, *arguments)
        document: dict[str, Any] = json.loads(result.stdout)
        return document


@pytest.fixture
def render(example_env: dict[str, str], tmp_path: Path) -> Render:
    """`render(audio, **options)` is the MP4 that the portrait example makes of a recording."""
    return Render(example_env, tmp_path)


@pytest.fixture
def speech(example_env: dict[str, str], tmp_path: Path) -> Any:
    """`speech(text, voice)` is the WAV that the tts example makes of a text."""
    numbers = itertools.count()

    def speak(text: str, voice: str) -> Path:
        output = tmp_path / f"speech{next(numbers)}.wav"
        arguments = ("--text", text, "--voice", voice, "--output", str(output))
        result = run_cvl(example_env, tmp_path, "run", "tts", "predict", *arguments)
        assert result.returncode == 0, result.stderr
        return output

    return speak
