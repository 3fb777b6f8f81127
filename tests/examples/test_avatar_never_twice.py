"""No step of the avatar pipeline is done twice, on the repository's own examples: the engine is
asked which containers there were."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import data_of, run_cvl
from tests.examples.conftest import EXAMPLES, SAMPLE
from tests.support.created import containers_created
from tests.support.engine import Engine

OTHER = EXAMPLES / "portrait" / "samples" / "smiling.jpg"
TEXT = "Nothing is done twice."


@dataclass
class Avatar:
    """`cvl run avatar_video predict` with a picture of the test's own."""

    environment: dict[str, str]
    engine: Engine
    folder: Path
    image: Path
    said: str = ""
    seconds: float = 0

    @property
    def home(self) -> Path:
        return Path(self.environment["CVL_HOME"])

    def words(self, *more: str) -> list[str]:
        arguments = ["run", "avatar_video", "predict", "--overwrite", "--explain", *more]
        for name, value in (("--text", TEXT), ("--image", str(self.image)), ("-o", "out.mp4")):
            arguments += [] if name in more else [name, value]
        return arguments

    def made(self, *more: str) -> list[str]:
        """The steps that had a container, as the engine tells it, and as the result does."""
        with containers_created(self.engine, self.home) as created:
            began = time.monotonic()
            result = run_cvl(self.environment, self.folder, *self.words("--json", *more))
            self.seconds = time.monotonic() - began
        self.said = result.stderr
        steps: dict[str, Any] = data_of(result)["steps"]
        assert created == sorted(name for name, step in steps.items() if not step["cached"])
        return created


@pytest.fixture
def avatar(example_env: dict[str, str], engine: Engine, tmp_path: Path) -> Iterator[Avatar]:
    """One that has made its video once."""
    shutil.copy(SAMPLE, tmp_path / "me.jpg")
    avatar = Avatar(example_env, engine, tmp_path, tmp_path / "me.jpg")
    avatar.made()
    yield avatar


def test_unchanged_no_container_starts_and_the_result_is_there_in_under_a_second(
    avatar: Avatar,
) -> None:
    assert avatar.made() == []
    assert avatar.seconds < 1.0


def test_with_another_image_only_portrait_and_postprocess_run_and_explain_says_why(
    avatar: Avatar,
) -> None:
    avatar.made("--image", str(OTHER))
    avatar.image.write_bytes(avatar.image.read_bytes() + bytes(os.urandom(8)))
    assert avatar.made() == ["final", "talk"]
    assert "talk: --image changed: file " in avatar.said
    assert "final: --video changed: file " in avatar.said


def test_another_output_path_mtime_or_tag_runs_nothing(avatar: Avatar, engine: Engine) -> None:
    (avatar.folder / "elsewhere").mkdir()
    assert avatar.made("-o", "elsewhere/another name.mp4") == []
    avatar.image = avatar.image.rename(avatar.folder / "another name.jpg")
    assert avatar.made() == []
    os.utime(avatar.image, (1, 1))
    assert avatar.made() == []
    arguments = ("run", "portrait", "build", "--json")
    built = data_of(run_cvl(avatar.environment, avatar.folder, *arguments))["images"][0]
    engine.docker("tag", built["image"], "cvl-test/another:tag")
    try:
        engine.docker("rmi", built["tag"])
        assert avatar.made() == []
        assert "build" not in avatar.said
    finally:
        engine.docker("tag", built["image"], built["tag"])
        engine.docker("rmi", "cvl-test/another:tag")


def test_a_same_size_edit_with_the_old_mtime_put_back_runs(avatar: Avatar) -> None:
    padded = avatar.image.read_bytes() + os.urandom(8)
    avatar.image.write_bytes(padded)
    avatar.made()
    before = avatar.image.stat()
    avatar.image.write_bytes(padded[:-8] + os.urandom(8))
    os.utime(avatar.image, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = avatar.image.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert avatar.made() == ["final", "talk"]


def test_two_identical_runs_at_once_make_one_container_per_step_and_both_succeed(
    avatar: Avatar,
) -> None:
    text = ("--text", f"At once, {os.urandom(4).hex()}.")
    with containers_created(avatar.engine, avatar.home) as created:
        both = [_start(avatar, *text, "-o", f"{name}.mp4") for name in ("one", "two")]
        ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert created == ["final", "speech", "talk"]
    one, two = (avatar.folder / f"{name}.mp4" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_killed_chain_resumes_at_the_step_it_was_in(avatar: Avatar) -> None:
    text = ("--text", f"Killed and resumed, {os.urandom(4).hex()}.")
    process = _start(avatar, *text, "--progress", "json")
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        if (event.get("step"), event.get("phase")) == ("talk", "run") and event.get("done"):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert avatar.made(*text) == ["final", "talk"]


def _start(avatar: Avatar, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cvl", *avatar.words(*more)],
        env=avatar.environment,
        cwd=avatar.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
