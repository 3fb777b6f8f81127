"""What the examples on diffusers cannot do is said, before or instead of a traceback, and nothing
is published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.examples.models import SAMPLE, Models, probe, words_for
from tests.support.checkpoints.calls import CALLS

pytestmark = pytest.mark.docker
WAN = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
SMALL = ("--prompt", "a fox", "--steps", "2", "--size", "16x16", "--frames", "5", "--seed", "1")


@pytest.fixture(scope="module", autouse=True)
def more_repos(served: Models) -> None:
    served.hub.push("org/gated", served.folder / "checkpoints" / WAN)
    served.hub.create("org/gated", gated=True)


REFUSED = {
    "a repo that is not there": (("--model", "org/none"), 4, "org/none"),
    "a gated repo": (("--model", "org/gated"), 4, "/org/gated, then set HF_TOKEN"),
    "no repo at all": (("--model", "a b"), 2, "is no repo"),
    "no pipeline": (("--model", "cvl-test/not-a-pipeline"), 4, "is no diffusers pipeline"),
    "a variant that is missing": (("--variant", "fp16"), 4, "has no weights of the variant fp16"),
    "no frames": (("--frames", "0"), 2, "at least 1"),
    "a hundred thousand frames": (("--frames", "100000"), 2, "at most 3000"),
    "an empty prompt": (("--prompt", " "), 2, "the prompt is empty"),
    "a prompt of 10,000 characters": (("--prompt", "fox " * 2500), 2, "5000"),
    "a size that is none": (("--size", "big"), 2, "size"),
    "an option that it does not have": (
        ("--options", '{"motion_bucket_id": 1}'), 2, "WanPipeline takes no motion_bucket_id",
    ),
    "an option that is nearly one": (
        ("--options", '{"max_sequence_lenght": 16}'), 2, "did you mean max_sequence_length?",
    ),
    "more frames than it makes": (("--frames", "200"), 2, "200 frames are more than the 81"),
    "a model for pictures": (
        ("--model", "stabilityai/stable-diffusion-xl-base-1.0"), 2, "makes pictures",
    ),
    "a model that needs a picture": (
        ("--model", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"), 2, "starts from a picture",
    ),
    "a scheduler without a shift": (
        ("--model", "ali-vilab/text-to-video-ms-1.7b", "--flow-shift", "3"), 2, "has no flow shift",
    ),
    "a rung that needs a GPU": (("--offload", "sequential"), 2, "needs a GPU"),
    "frames that are no numbers": (
        ("--model", "cvl-test/nan-Wan2.1-T2V-1.3B-Diffusers"), 6, "NaN",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_says_what_is_wrong(name: str, models: Models) -> None:
    words, code, told = REFUSED[name]
    found, message, hint = models.fails("text_to_video", *SMALL, *words)
    assert (found, told in f"{message} {hint}") == (code, True), (message, hint)
    assert hint


SMALL_GPU = """\
#!/bin/sh
echo '0, GPU-0, A small one, 2048, 2000, 580.0, 8.6'
"""


@pytest.mark.parametrize("example", ["text_to_video", "image_to_video", "svd", "image"])
def test_a_gpu_that_is_too_small_is_said_before_anything_starts(
    example: str, models: Models, tmp_path: Path
) -> None:
    """As nvidia-smi tells of it: 2 GB."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(SMALL_GPU)
    smi.chmod(0o755)
    given = ["--prompt", "a fox"] if example in ("text_to_video", "image") else []
    given += ["--image", str(SAMPLE)] if example in ("image_to_video", "svd") else []
    before = len(models.hub.log())
    code, message, hint = models.fails(
        example, *given, PATH=f"{smi.parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert code == 3 and "2.1 GB free; at least" in message and "smaller model" in hint
    assert len(models.hub.log()) == before


def test_an_odd_size_and_length_become_the_nearest_and_it_says_so(
    models: Models, tmp_path: Path
) -> None:
    words = (*SMALL, "--size", "45x30", "--frames", "6", "-o", "odd.mp4")
    data = models.run("text_to_video", *words)
    made = probe(tmp_path / "odd.mp4")
    assert (made.width, made.height, made.frames) == (48, 32, 5)
    told = " ".join(data["warnings"])
    assert "45x30 became 48x32" in told and "6 frames became 5" in told


def test_a_video_from_text_alone_does_not_start_from_a_picture(models: Models) -> None:
    words = ("--image", str(SAMPLE), "--model", WAN, *SMALL)
    code, message, hint = models.fails("image_to_video", *words)
    assert code == 2 and "makes videos from text alone" in message and "TI2V-5B" in hint


def test_a_long_video_is_made_in_parts_that_go_on(models: Models, tmp_path: Path) -> None:
    """Of 25 seconds, of which the model makes ten at once."""
    repo = "Lightricks/LTX-Video"
    words = words_for(repo, CALLS[repo])
    data = models.run("text_to_video", *words, "--frames", "600", "--seed", "2", "-o", "long.mp4")
    assert probe(tmp_path / "long.mp4").frames == 600
    assert data["warnings"] == []


def test_a_second_pass_makes_it_larger_and_a_seed_says_what_comes(
    models: Models, tmp_path: Path
) -> None:
    repo = "cerspense/zeroscope_v2_576w"
    more = ("--refiner", "cerspense/zeroscope_v2_XL", "--refine-size", "32x32", "--no-cache")
    for name, seed in (("large", "2"), ("again", "2"), ("other", "3")):
        words = (*words_for(repo, CALLS[repo]), *more, "--seed", seed, "-o", f"{name}.mp4")
        models.run("text_to_video", *words)
    made = probe(tmp_path / "large.mp4")
    assert (made.width, made.height, made.frames) == (32, 32, 4)
    first, again, other = (
        (tmp_path / f"{n}.mp4").read_bytes() for n in ("large", "again", "other")
    )
    assert first == again != other


def test_a_refiner_ends_a_picture_and_the_portrait_preset_changes_it(
    models: Models, tmp_path: Path
) -> None:
    repo = "stabilityai/stable-diffusion-xl-base-1.0"
    words = [*words_for(repo, CALLS[repo]), "--steps", "5", "--seed", "2", "--size", "16x16"]
    kinds = {
        "plain": (),
        "refined": ("--refiner", "stabilityai/stable-diffusion-xl-refiner-1.0"),
        "portrait": ("--preset", "portrait"),
    }
    for kind, more in kinds.items():
        models.run("image", *words, *more, "-o", f"{kind}.png")
    assert len({(tmp_path / f"{kind}.png").read_bytes() for kind in kinds}) == 3
