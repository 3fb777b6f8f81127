"""Rungs of an offload ladder that a CPU can take: exact ones change no byte, the others little, and
they are other steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from tests.examples.models import Models, pixels, words_for
from tests.support.checkpoints.calls import CALLS

pytestmark = pytest.mark.docker
WAN = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
SVD = "stabilityai/stable-video-diffusion-img2vid"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
EXACT = {
    "text_to_video": (WAN, ("none", "model", "group")),
    "svd": (SVD, ("none", "model")),
    "image": (SDXL, ("none", "model", "group")),
}
INEXACT = {
    "text_to_video": (WAN, {"fp8": 0.011, "int8": 0.012}),
    "svd": (SVD, {"chunked": 0.005}),
}
"""Mean difference of the pixels (0 to 1) that is allowed: of small random weights, which are less
forgiving than trained ones."""


def words_of(example: str, repo: str) -> list[str]:
    words = words_for(repo, CALLS[repo])
    if example == "svd":
        words[words.index("--options") :] = ["--decode-chunk-size", "2"]
    return words


@pytest.mark.parametrize("example", EXACT)
def test_an_exact_rung_gives_the_same_bytes(example: str, models: Models, tmp_path: Path) -> None:
    repo, rungs = EXACT[example]
    words = [*words_of(example, repo), "--seed", "5", "--no-cache"]
    suffix = "png" if example == "image" else "mp4"
    for rung in rungs:
        models.run(example, *words, "--offload", rung, "-o", f"{rung}.{suffix}")
    made = {(tmp_path / f"{rung}.{suffix}").read_bytes() for rung in rungs}
    assert len(made) == 1


@pytest.mark.parametrize("example", INEXACT)
def test_an_inexact_rung_is_near_and_is_another_step(
    example: str, models: Models, tmp_path: Path
) -> None:
    repo, rungs = INEXACT[example]
    words = [*words_of(example, repo), "--seed", "5"]
    models.run(example, *words, "--offload", "none", "-o", "none.mp4")
    exact = models.run(example, *words, "--offload", "model", "-o", "model.mp4")
    assert all(step["cached"] for step in exact["steps"].values())
    plain = pixels(tmp_path / "none.mp4")
    for rung, most in rungs.items():
        data = models.run(example, *words, "--offload", rung, "-o", f"{rung}.mp4")
        assert not any(step["cached"] for step in data["steps"].values())
        difference = float(np.abs(pixels(tmp_path / f"{rung}.mp4") - plain).mean())
        assert 0 < difference < most, rung


def test_half_precision_is_near_and_is_another_step(models: Models, tmp_path: Path) -> None:
    words = [*words_of("text_to_video", WAN), "--seed", "5"]
    models.run("text_to_video", *words, "-o", "fp32.mp4")
    data = models.run("text_to_video", *words, "--dtype", "fp16", "-o", "fp16.mp4")
    assert not any(step["cached"] for step in data["steps"].values())
    difference = np.abs(pixels(tmp_path / "fp16.mp4") - pixels(tmp_path / "fp32.mp4")).mean()
    assert 0 < difference < 0.002


def test_a_gguf_file_takes_the_place_of_the_transformer(
    models: Models, served: Models, tmp_path: Path
) -> None:
    """One with the same weights in full gives the same frames."""
    words = [*words_of("text_to_video", WAN), "--seed", "5"]
    models.run("text_to_video", *words, "-o", "plain.mp4")
    place = served.folder / "checkpoints" / WAN / "transformer"
    as_gguf(place / "diffusion_pytorch_model.safetensors", tmp_path / "same.gguf")
    models.run("text_to_video", *words, "--gguf", "same.gguf", "-o", "gguf.mp4")
    assert np.abs(pixels(tmp_path / "gguf.mp4") - pixels(tmp_path / "plain.mp4")).max() < 0.02
    (tmp_path / "none.gguf").write_bytes(b"GGUF and no more")
    code, message, _ = models.fails("text_to_video", *words, "--gguf", "none.gguf")
    assert code == 2 and "the GGUF file does not fit" in message


def test_a_lora_changes_the_frames_and_one_of_another_model_is_refused(
    models: Models, served: Models, tmp_path: Path
) -> None:
    words = [*words_of("text_to_video", WAN), "--seed", "5"]
    models.run("text_to_video", *words, "-o", "plain.mp4")
    place = served.folder / "checkpoints" / WAN / "transformer"
    weights = dict(tensors_of(place / "diffusion_pytorch_model.safetensors"))
    layers = [name.removesuffix(".weight") for name in weights if name.endswith("to_q.weight")]
    write_lora(tmp_path / "own.safetensors", {n: weights[f"{n}.weight"].shape for n in layers})
    models.run("text_to_video", *words, "--lora", "own.safetensors", "-o", "own.mp4")
    models.run("text_to_video", *words, "--lora", "own.safetensors:0", "-o", "off.mp4")
    plain, own, off = (pixels(tmp_path / f"{name}.mp4") for name in ("plain", "own", "off"))
    assert np.abs(own - plain).mean() > 0.001
    assert np.abs(off - plain).max() < 0.02
    write_lora(tmp_path / "other.safetensors", {n: (3, 5) for n in layers})
    code, message, hint = models.fails("text_to_video", *words, "--lora", "other.safetensors")
    assert code == 2 and "the LoRA does not fit WanPipeline" in message and hint


def write_lora(path: Path, layers: dict[str, tuple[int, ...]], rank: int = 2) -> None:
    """Factors for linear layers of [out, in], as diffusers names those of a transformer."""
    content, header = b"", {}
    for layer, (out, into) in layers.items():
        for factor, shape in (("lora_A", (rank, into)), ("lora_B", (out, rank))):
            raw = np.full(shape, 0.5, "<f4").tobytes()
            offsets = [len(content), len(content) + len(raw)]
            told = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
            header[f"transformer.{layer}.{factor}.weight"] = told
            content += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def tensors_of(source: Path) -> Iterator[tuple[str, np.ndarray]]:  # type: ignore[type-arg]
    """Those of a safetensors file in full precision."""
    content = source.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            data = np.frombuffer(content[8 + length + begin : 8 + length + end], "<f4")
            yield name, data.reshape(tensor["shape"])


def as_gguf(source: Path, target: Path) -> None:
    """The tensors of a safetensors file in a GGUF file, without quantization."""
    writer = GGUFWriter(target, "wan")
    for name, data in tensors_of(source):
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
