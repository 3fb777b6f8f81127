"""How a pipeline is written down so that the folder looks like the real repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file

from . import tokens

PICKLED = {"diffusion_pytorch_model": "diffusion_pytorch_model", "model": "pytorch_model"}
NEAR_ZERO = 0.02
Names = Mapping[str, str]


def awaken(module: torch.nn.Module) -> None:
    """Gives parameters that start as zeros values, or what they are for would change no output."""
    for parameter in module.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=NEAR_ZERO)


def contrast(layer: torch.nn.Module, gain: float) -> None:
    """Makes the last layer of a decoder loud: else all frames are one grey after rounding."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(gain)


def poison(module: torch.nn.Module) -> None:
    """Makes every output NaN."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(float("nan"))


def save(
    pipeline: DiffusionPipeline, folder: Path, *, variants: Iterable[str] = (),
    classes: Names | None = None, tops: Iterable[str] = (), pickled: bool = False,
) -> None:  # fmt: skip
    """Writes all components in float32, and in float16 for each of `variants`.

    `classes`: what the real model_index.json names otherwise than this version of transformers.
    `tops`: single-file weights of another format, beside the components, which nobody should fetch.
    """
    pipeline.save_pretrained(folder)
    for variant in variants:
        half = pipeline.to(torch.float16, silence_dtype_warnings=True)
        half.save_pretrained(folder, variant=variant)
    if pickled:
        for weights in sorted(folder.glob("*/*.safetensors")):
            pickle(weights)
    name_as_the_hub(folder, classes or {})
    for top in tops:
        decoy(folder / top)


def pickle(weights: Path) -> None:
    """Replaces a file of safetensors by the same tensors as torch pickles them."""
    stem, _, rest = weights.name.partition(".")
    name = f"{PICKLED[stem]}.{rest.replace('safetensors', 'bin')}"
    torch.save(load_file(weights), weights.with_name(name))
    weights.unlink()


def name_as_the_hub(folder: Path, classes: Names) -> None:
    """Image processors and tokenizers have other names where torchvision is not installed."""
    index = folder / "model_index.json"
    text = json.loads(index.read_text().replace("ImageProcessorPil", "ImageProcessor"))
    for component, name in classes.items():
        text[component][1] = name
    tokens.write(index, text)
    for config in folder.glob("*/*_config.json"):
        plain = config.read_text().replace("ImageProcessorPil", "ImageProcessor")
        config.write_text(plain)


def forget(folder: Path, *entries: str) -> None:
    """Takes out of model_index.json what came after the real one was written."""
    index = folder / "model_index.json"
    kept = {k: v for k, v in json.loads(index.read_text()).items() if k not in entries}
    tokens.write(index, kept)


def decoy(path: Path) -> None:
    """A few kB of the original format, by its real name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file({"model.diffusion_model.weight": torch.zeros(1000)}, path, {"format": "pt"})
    else:
        path.write_bytes(bytes(4000))
