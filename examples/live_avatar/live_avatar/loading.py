"""From the checkpoint's files to a model that is ready.

The model is first built without memory. Then one tensor at a time is read (from a mapped file),
merged with its change, quantized where that is asked for, and put in its place. So the peak is the
finished model and one tensor: 33 GB in bfloat16, 17 GB in float8, never both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from live_avatar.dit import FLOAT32_PARTS, AvatarTransformer
from live_avatar.fp8 import Float8Linear, use_float8
from live_avatar.lora import ALPHA, Lora
from live_avatar.sizes import Sizes

INDEX = "diffusion_pytorch_model.safetensors.index.json"


class CheckpointError(ValueError):
    """The files are not those of this model."""


def load_transformer(
    folder: Path,
    lora: Path | None = None,
    *,
    lora_alpha: float = ALPHA,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
    float8: bool = False,
    streamed: bool = False,
) -> AvatarTransformer:
    """The model in a folder of Wan2.2-S2V's layout, with LiveAvatar's change merged in.

    `streamed`: the blocks wait in the machine's memory, and come to the device one by one.
    Raises CheckpointError where a name is missing, unknown, or of another shape.
    """
    files = json.loads((folder / INDEX).read_text())["weight_map"]
    sizes = replace(
        Sizes.from_config(json.loads((folder / "config.json").read_text())),
        text_dim=_text_dim(folder, files),
    )
    with torch.device("meta"):
        model = AvatarTransformer(sizes)
    model.requires_grad_(False).eval()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    _same_names(set(files), set(shapes), "the checkpoint")
    change = Lora(lora, lora_alpha) if lora else None
    if change:
        _known_names(change.weights, set(shapes))
    if float8:
        use_float8(model)
    for name, tensor in _tensors(folder, files, device):
        if tensor.shape != shapes[name]:
            raise CheckpointError(
                f"{name} is {tuple(tensor.shape)}, expected {tuple(shapes[name])}"
            )
        merged = change.merged(name, tensor) if change else tensor
        merged = merged.to(torch.float32 if name.startswith(FLOAT32_PARTS) else dtype)
        put(model, name, merged.cpu() if streamed and name.startswith("blocks.") else merged)
    if streamed:
        model.stream(device)
    return model


def _text_dim(folder: Path, files: dict[str, str]) -> int:
    """What the configuration does not say: how wide the text's embedding is."""
    name = "text_embedding.0.weight"
    if name not in files:
        raise CheckpointError(f"the checkpoint has no {name}")
    with safe_open(str(folder / files[name]), framework="pt") as opened:
        return int(opened.get_slice(name).get_shape()[1])


def put(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Make a tensor the parameter of that name; the tensor itself, not a copy."""
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    if leaf == "weight" and isinstance(module, Float8Linear):
        module.hold(tensor)
    else:
        setattr(module, leaf, nn.Parameter(tensor, requires_grad=False))


def _tensors(
    folder: Path, files: dict[str, str], device: torch.device | str
) -> Iterator[tuple[str, Tensor]]:
    """Every tensor, one file after the other and one tensor at a time."""
    for file in sorted(set(files.values())):
        with safe_open(str(folder / file), framework="pt", device=str(device)) as opened:
            expected = {name for name, at in files.items() if at == file}
            _same_names(set(opened.keys()), expected, file)
            for name in sorted(expected):
                yield name, opened.get_tensor(name)


def _same_names(found: set[str], expected: set[str], where: str) -> None:
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise CheckpointError(
            f"{where} lacks {len(missing)} weights {missing[:3]} "
            f"and has {len(unknown)} that are unknown {unknown[:3]}"
        )


def _known_names(found: set[str], expected: set[str]) -> None:
    unknown = sorted(found - expected)
    if unknown:
        raise CheckpointError(f"the LoRA changes {len(unknown)} unknown weights {unknown[:3]}")
