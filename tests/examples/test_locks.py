"""requirements.lock of an example says what its requirements.in asks for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from uv import find_uv_bin

from cvl.core.manifest import ModelManifest
from cvl.ops.examples import Catalog, Example
from tests.examples.conftest import EXAMPLES

HOSTED = [
    example
    for example in Catalog([str(EXAMPLES)]).examples.values()
    if example.folder.parent == EXAMPLES
    and isinstance(example.manifest, ModelManifest)
    and "venv" in example.manifest.engines
]


def pins(path: Path) -> set[str]:
    """`name==version` of every line, those of the files that it names included."""
    found: set[str] = set()
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(path.parent / line[3:].strip())
        elif match := re.match(r"[\w.-]+==[\w.]+", line):
            found.add(match[0])
    return found


@pytest.mark.parametrize("example", HOSTED, ids=lambda example: example.name)
def test_a_lock_holds_what_was_asked_for_each_with_hashes(example: Example) -> None:
    lock = example.folder / "requirements.lock"
    asked = pins(example.folder / "requirements.in")
    whole = "-r torch.lock" in lock.read_text()  # then it has what they need in turn, too
    assert asked and (asked <= pins(lock) if whole else asked == pins(lock))
    for file in [lock, *([lock.with_name(f"{n}.lock") for n in ("torch", "models")] * whole)]:
        packages = re.split(r"^(?=[\w.-]+==)", file.read_text(), flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in package for package in packages)


def test_all_examples_with_torch_begin_with_the_same_layers() -> None:
    """Byte for byte, so that an engine has them once."""
    folders = sorted(path.parent for path in EXAMPLES.glob("*/torch.lock"))
    diffusers = ["image", "image_to_video", "svd", "text_to_video"]
    avatars = ["live_avatar", "sadtalker", "wan_s2v"]
    assert [folder.name for folder in folders] == sorted([*diffusers, *avatars])
    assert len({(folder / "torch.lock").read_bytes() for folder in folders}) == 1
    assert len({(EXAMPLES / name / "models.lock").read_bytes() for name in diffusers}) == 1
    dockerfiles = [(folder / "Dockerfile").read_text() for folder in folders]
    assert len({text.partition("WORKDIR")[0] for text in dockerfiles}) == 1
    assert "torch==2.9" not in (folders[0] / "torch.lock").read_text()


def test_the_examples_of_the_demo_run_in_both_engines() -> None:
    assert {example.name for example in HOSTED} >= {"tts", "portrait", "postprocess"}


def test_no_lock_has_a_torchvision() -> None:
    """Beside a torch of another build it fails, and whatever looks for it with it."""
    for lock in EXAMPLES.glob("*/*.lock"):
        assert "torchvision" not in lock.read_text()


PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-apple-darwin")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "example", [e for e in HOSTED if (e.folder / "torch.lock").exists()], ids=lambda e: e.name
)
def test_what_is_locked_has_wheels_for_cuda_and_for_macs(example: Example, platform: str) -> None:
    """Of the very versions, and nothing beside them is needed."""
    locks = [word for name in ("torch", "models") for word in ("-c", f"{name}.lock")]
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--python-version", "3.11"]
    if (example.folder / "excludes.in").exists():
        command += ["--excludes", "excludes.in"]
    resolved = subprocess.run(
        [*command, "--python-platform", platform, "requirements.in", *locks],
        cwd=example.folder, capture_output=True, text=True, check=True,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
    ).stdout  # fmt: skip
    found = set(re.findall(r"^[\w.-]+==[\w.]+", resolved, flags=re.MULTILINE))
    assert "torch==2.13.0" in found
    assert found <= pins(example.folder / "requirements.lock")
    cuda = any(name.startswith("nvidia-cudnn") for name in found)
    assert cuda is (platform != "aarch64-apple-darwin")
