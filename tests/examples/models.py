"""Examples that use torch, on a base image that has it for CPUs, with small checkpoints of random
weights from a hub of the tests' own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import environment_for
from tests.support import images
from tests.support.checkpoints.calls import IMAGE, Call
from tests.support.engine import Engine
from tests.support.hub import Hub
from tests.support.people import needs_root

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
SUPPORT = REPOSITORY / "tests" / "support"
INSIDE = REPOSITORY / "cvl" / "inside"
SAMPLE = EXAMPLES / "portrait" / "samples" / "portrait.jpg"
MADE = {
    "": ("text_to_video", ("all",)),
    "avatars": ("hallo2", ("wan_s2v", "live_avatar", "hallo2")),
}
"""For which tests, as CVL_TEST_MODELS says: in the image of which example checkpoints are made, and
of which families."""
GONE = "http://127.0.0.1:9"
"""Nobody answers there."""


@dataclass(frozen=True)
class Models:
    """A cvl on that base and that hub; every call has a folder of its own."""

    environment: dict[str, str]
    folder: Path
    hub: Hub

    def __call__(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`cvl ...` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "cvl", *words], env={**self.environment, **more},
            cwd=self.folder, capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip

    def run(self, example: str, *words: str, **more: str) -> dict[str, Any]:
        """The data of a run that ends well."""
        result = self("run", example, "predict", "--json", *words, **more)
        assert result.returncode == 0, result.stdout + result.stderr
        data: dict[str, Any] = json.loads(result.stdout)["data"]
        return data

    def fails(self, example: str, *words: str, **more: str) -> tuple[int, str, str]:
        """(exit code, message, hint) of a run that does not, and publishes nothing."""
        before = sorted(self.folder.iterdir())
        result = self("run", example, "predict", "--json", *words, **more)
        error = json.loads(result.stdout)["error"]
        assert "Traceback" not in error["message"] + error["hint"]
        assert sorted(self.folder.iterdir()) == before
        return result.returncode, error["message"], error["hint"]

    def at(self, folder: Path) -> Models:
        return replace(self, folder=folder)


@pytest.fixture(scope="session")
def served(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """Checkpoints are made in an image of the examples themselves: it has what they are made
    with."""
    needs_root()
    folder = tmp_path_factory.mktemp("models")
    environment = {
        **environment_for(engine, folder / "home"),
        "CVL_EXAMPLES": str(EXAMPLES),
        "CVL_BASE_IMAGE": images.ensure_torch(engine),
    }
    example, families = MADE[os.environ.get("CVL_TEST_MODELS", "")]
    make_checkpoints(engine, built(example, environment), families, folder / "checkpoints")
    with Hub(folder / "served") as hub:
        for repo in sorted((folder / "checkpoints").glob("*/*")):
            hub.push(f"{repo.parent.name}/{repo.name}", repo)
        yield Models({**environment, **hub.environment(folder / "hf")}, folder, hub)


def built(example: str, environment: dict[str, str]) -> str:
    """The image of an example."""
    build = [sys.executable, "-m", "cvl", "run", example, "build", "--json"]
    result = subprocess.run(build, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (image,) = json.loads(result.stdout)["data"]["images"]
    return str(image["image"])


def make_checkpoints(engine: Engine, image: str, families: tuple[str, ...], folder: Path) -> None:
    folder.mkdir()
    engine.docker(
        "run", "--rm", "--network", "none", "--entrypoint", "python",
        "--volume", f"{SUPPORT}:/tests/support:ro", "--volume", f"{folder}:/made",
        "--volume", f"{EXAMPLES / 'hallo2'}:/examples/hallo2:ro",
        "--volume", f"{INSIDE}:/cvl/inside:ro", "--workdir", "/tests/support",
        image, "-m", "checkpoints", *families, "--output", "/made",
    )  # fmt: skip


@pytest.fixture
def models(served: Models, tmp_path: Path) -> Models:
    return served.at(tmp_path)


def words_for(repo: str, call: Call) -> list[str]:
    """Of the command line, for the call that a table has for a repo."""
    given = dict(call.arguments)
    words = ["--model", repo, "--steps", str(given.pop("num_inference_steps"))]
    width, height = given.pop("width", None), given.pop("height", None)
    if width and height:
        words += ["--size", f"{width}x{height}"]
    for name, option in (("num_frames", "frames"), ("prompt", "prompt")):
        if name in given:
            words += [f"--{option}", str(given.pop(name))]
    if "negative_prompt" in given:
        words += ["--negative-prompt", given.pop("negative_prompt")]
    if call.starts_from == IMAGE:
        words += ["--image", str(SAMPLE)]
    if call.adapter:
        words += ["--motion-adapter", call.adapter]
    return [*words, "--options", json.dumps(given)] if given else words


@dataclass(frozen=True)
class Probed:
    """Of the first video stream, after all of it was decoded."""

    frames: int
    fps: float
    width: int
    height: int
    audio: bool


def probe(path: Path) -> Probed:
    """Decodes every frame; fails for a file that does not."""
    entries = "stream=codec_type,width,height,nb_read_frames,r_frame_rate"
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json",
         str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stderr == ""
    streams = json.loads(told.stdout)["streams"]
    video = next(stream for stream in streams if stream["codec_type"] == "video")
    up, down = map(int, video["r_frame_rate"].split("/"))
    return Probed(
        int(video["nb_read_frames"]), up / down, video["width"], video["height"], len(streams) > 1
    )


def pixels(video: Path) -> np.ndarray:  # type: ignore[type-arg]
    """All of them, 0 to 1."""
    command = ["ffmpeg", "-v", "error", "-i", str(video), "-f", "rawvideo", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).astype(np.float64) / 255


def sound(folder: Path, name: str, source: str, *options: str) -> str:
    """A file of what ffmpeg's own generators give."""
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *options, str(folder / name)]
    subprocess.run(command, check=True)
    return str(folder / name)


def undemanding(example: str, folder: Path) -> str:
    """A folder with the example, which there asks for the memory that a small checkpoint needs."""
    shutil.copytree(EXAMPLES / example, folder / example)
    manifest = folder / example / "example.yaml"
    text = manifest.read_text()
    less, count = re.subn(r"ram_gb: \d+, disk_gb: \d+", "ram_gb: 2, disk_gb: 2", text)
    assert count == 1
    manifest.write_text(less)
    return str(folder)
