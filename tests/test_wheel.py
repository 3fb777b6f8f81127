"""What is built from here is enough by itself: the wheel alone, in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cvl.core.media import inspect
from tests.conftest import environment_for
from tests.support.engine import Engine

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = {path.parent.name for path in (REPOSITORY / "examples").glob("*/example.yaml")}
JUNK = (
    "examples/tts/__pycache__/voices.cpython-311.pyc",
    "examples/tts/.venv/pyvenv.cfg",
    "examples/tts/junit-tts.xml",
    "examples/portrait/.DS_Store",
    "examples/avatar_video/demo.mp4",
    "cvl/core/__pycache__/plan.cpython-311.pyc",
)


@dataclass(frozen=True)
class Built:
    """A wheel made of the repository's files with some junk between them, and one made of the
    source distribution; `installed` is where the first lies as pip lays it down."""

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path
    installed: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    for name in ("cvl", "examples", "tests", "docs", "schemas"):
        shutil.copytree(REPOSITORY / name, tree / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(REPOSITORY / name, tree / name)
    for name in JUNK:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("junk")
    sdist, wheel = build(tree, folder / "dist", "sdist"), build(tree, folder / "dist", "wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked")
    unpacked = next((folder / "unpacked").iterdir())
    again = build(unpacked, folder / "again", "wheel")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(wheel)], check=True)
    return Built(wheel, sdist, again, folder / "site")


def build(tree: Path, target: Path, kind: str) -> Path:
    """The wheel or sdist of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    return next(target.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(*folders: str) -> set[str]:
    """Files of the repository that are no junk."""
    found = {path for folder in folders for path in (REPOSITORY / folder).rglob("*")}
    return {
        str(path.relative_to(REPOSITORY))
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_package_and_the_examples_and_nothing_else(built: Built) -> None:
    expected = tracked("cvl") | {f"cvl/_{name}" for name in tracked("examples")}
    found = {name for name in names_in(built.wheel) if ".dist-info/" not in name}
    assert found == expected
    for name in (
        "cvl/py.typed",
        "cvl/inside/cvl_inside/main.py",
        "cvl/inside/cvl_inside/py.typed",
        "cvl/_examples/avatar_video/samples/portrait.jpg",
        "cvl/_examples/portrait/samples/hello.wav",
        "cvl/_examples/tts/Dockerfile",
    ):
        assert name in found


def test_the_source_distribution_makes_the_same_wheel(built: Built) -> None:
    assert names_in(built.wheel_of_sdist) == names_in(built.wheel)
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= tracked("examples") and not names & set(JUNK)


@pytest.fixture
def installed(built: Built, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the wheel's cvl in an empty folder; the dependencies come from this environment."""
    (tmp_path / "empty").mkdir()
    dropped = ("CVL_", "DOCKER_", "XDG_")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}

    def run(
        *words: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        given = {
            **(environment or {**plain, "CVL_HOME": str(tmp_path / "home")}),
            "PYTHONPATH": str(built.installed),
        }
        return subprocess.run(
            [sys.executable, "-m", "cvl", *words],
            env=given, cwd=tmp_path / "empty",
            capture_output=True, text=True, timeout=250, check=False,
        )  # fmt: skip

    return run


def data_of(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stdout + result.stderr
    data: dict[str, Any] = json.loads(result.stdout)["data"]
    return data


def test_it_lists_its_examples_in_an_empty_folder(
    built: Built, installed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    listed = {entry["name"]: entry for entry in data_of(installed("list", "--json"))["examples"]}
    assert set(listed) == EXAMPLES
    for name, entry in listed.items():
        assert entry["folder"] == str(built.installed / "cvl" / "_examples" / name)
        assert (entry["source"], entry["error"]) == ("cvl", None)
    shown = installed("list").stdout.splitlines()
    assert [line.split()[-1] for line in shown] == ["SOURCE", *["cvl"] * len(EXAMPLES)]


def test_it_explains_checks_and_plans_them(
    installed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert data_of(installed("info", "tts", "--json"))["model"]["license"]["code"] == "Apache-2.0"
    assert "--loudness" in installed("run", "avatar_video", "predict", "--help").stdout
    validated = data_of(installed("validate", "--json"))["examples"]
    assert {verdict["name"] for verdict in validated if verdict["good"]} == EXAMPLES
    words = ("run", "tts", "predict", "--text", "Hello", "--dry-run", "--json")
    assert data_of(installed(*words))["steps"][0]["example"] == "tts"


def test_an_example_of_the_working_folder_comes_before_the_one_of_the_wheel(
    built: Built, installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    own = tmp_path / "empty" / "examples" / "tts"
    shutil.copytree(built.installed / "cvl" / "_examples" / "tts", own)
    listed = {entry["name"]: entry for entry in data_of(installed("list", "--json"))["examples"]}
    assert (listed["tts"]["folder"], listed["tts"]["source"]) == (str(own), "./examples")
    assert listed["portrait"]["source"] == "cvl" and set(listed) == EXAMPLES


def test_it_writes_a_new_example_without_what_pip_compiled(
    built: Built, installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert list((built.installed / "cvl" / "templates").rglob("*.pyc"))
    assert installed("init", "mine").returncode == 0
    mine = tmp_path / "empty" / "mine"
    assert (mine / "predict.py").is_file() and not list(mine.rglob("*.pyc"))


@pytest.mark.docker
def test_it_builds_and_runs_an_example_that_it_carries(
    engine: Engine, installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    environment = environment_for(engine, tmp_path / "home")
    words = ("run", "tts", "predict", "--text", "Out of the wheel.", "--json")
    data = data_of(installed(*words, environment=environment))
    assert data["outputs"] == {"audio": str(tmp_path / "empty" / "speech.wav")}
    assert (tmp_path / "empty" / "speech.wav").read_bytes()[:4] == b"RIFF"
    assert list((tmp_path / "empty").iterdir()) == [tmp_path / "empty" / "speech.wav"]


def test_it_makes_the_demo_and_a_video_of_ones_own_in_an_empty_folder_without_docker(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    empty, home = tmp_path / "empty", str(tmp_path / "home")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("CVL_", "DOCKER_", "XDG_"))}
    bare = {**plain, "CVL_HOME": home, "DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    demo = data_of(installed("demo", "--json", environment=bare))
    assert demo["outputs"] == {"video": str(empty / "demo.mp4")}
    shutil.copy(REPOSITORY / "examples" / "portrait" / "samples" / "smiling.jpg", empty / "me.jpg")
    words = ("run", "avatar_video", "predict", "--text", "Hi.", "--image", "me.jpg", "-o", "me.mp4")
    data_of(installed(*words, "--json", environment=bare))
    assert {path.name for path in empty.iterdir()} == {"demo.mp4", "me.jpg", "me.mp4"}
    for name in ("demo.mp4", "me.mp4"):
        with (empty / name).open("rb") as stream:
            info = inspect(stream, (empty / name).stat().st_size)
        assert (info.video_codec, info.audio_codec) == ("h264", "aac")
