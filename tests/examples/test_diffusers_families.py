"""Every family of pipelines that an example names: in a container on the CPU, by repo id, without a
network once it was fetched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.examples.models import GONE, Models, probe, words_for
from tests.support.checkpoints.calls import CALLS, IMAGE_CALLS, Call

pytestmark = pytest.mark.docker
FPS = 12.0
SVD = "stabilityai/stable-video-diffusion-img2vid"
SECOND_PASSES = ("cerspense/zeroscope_v2_XL", "stabilityai/stable-diffusion-xl-refiner-1.0")


def example_of(call: Call, repo: str) -> str:
    if call.output == "images":
        return "image"
    if "stable-video-diffusion" in repo:
        return "svd"
    return "image_to_video" if call.starts_from else "text_to_video"


FAMILIES = {
    **{
        f"{example_of(call, repo)}: {repo}": (example_of(call, repo), repo, call)
        for repo, call in CALLS.items()
        if repo not in SECOND_PASSES
    },
    **{f"image_to_video: {r}": ("image_to_video", r, call) for r, call in IMAGE_CALLS.items()},
    f"image_to_video: {SVD}": ("image_to_video", SVD, CALLS[SVD]),
}


def words_of(example: str, repo: str, call: Call) -> list[str]:
    words = words_for(repo, call)
    if example == "svd":
        at = words.index("--options")
        words[at:] = ["--decode-chunk-size", "2"]
    return words if example == "image" else [*words, "--fps", f"{FPS:g}"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_runs_from_its_repo_and_a_seed_says_what_comes(
    name: str, models: Models, tmp_path: Path
) -> None:
    example, repo, call = FAMILIES[name]
    words = words_of(example, repo, call)
    suffix = "png" if example == "image" else "mp4"

    def made(file: str, seed: int, *more: str, **environment: str) -> bytes:
        chosen = ("--seed", str(seed), "-o", f"{file}.{suffix}", *more)
        models.run(example, *words, *chosen, **environment)
        return (tmp_path / f"{file}.{suffix}").read_bytes()

    def again(file: str, seed: int) -> bytes:
        return made(file, seed, "--no-cache", "--offline", HF_ENDPOINT=GONE)

    first = made("first", 7)
    with ThreadPoolExecutor() as pool:
        second, other = pool.map(again, ("second", "other"), (7, 8))
    assert second == first != other
    if example == "image":
        with Image.open(tmp_path / "first.png") as image:
            image.load()
            assert image.size == call.size
        return
    found = probe(tmp_path / "first.mp4")
    assert (found.frames, found.fps) == (call.frames, FPS)
    assert (found.width, found.height) == call.size
    assert found.audio is (repo == "Lightricks/LTX-2")


def test_of_a_large_repo_only_what_the_pipeline_loads_is_fetched(models: Models) -> None:
    """Of SVD: half precision, and not the same once more in two files."""
    repo, call = next((r, c) for r, c in CALLS.items() if r.endswith("img2vid-xt"))
    models.run("svd", *words_of("svd", repo, call), "--seed", "1")
    fetched = {request.file for request in models.hub.log(repo=repo)}
    fetched = {path for path in fetched if path.endswith(".safetensors")}
    assert fetched and all(path.endswith(".fp16.safetensors") for path in fetched)
