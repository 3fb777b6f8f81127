"""The small model, and the same as files in the layout of the official repositories."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import avatar_case as case
import torch
from filling import fill
from live_avatar.dit import AvatarTransformer
from live_avatar.loading import INDEX
from live_avatar.sizes import Sizes
from safetensors.torch import save_file
from torch import nn

CHANGED = (".q", ".k", ".v", ".o", ".ffn.0", ".ffn.2")
"""Layers that LiveAvatar's LoRA changes."""


def small_model() -> AvatarTransformer:
    """Ours, filled as upstream's is."""
    model = AvatarTransformer(Sizes.from_config(case.CONFIG))
    fill(model, case.NEAR_ONE)
    return model.eval().requires_grad_(False)


def written(folder: Path, shards: int = 3) -> tuple[Path, Path]:
    """(folder of the base model in shards, file of the LoRA)."""
    model = small_model()
    names = sorted(model.state_dict())
    files = {name: f"part-{i * shards // len(names)}.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        tensors = {n: model.state_dict()[n].contiguous() for n in names if files[n] == file}
        save_file(tensors, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": files}))
    (folder / "config.json").write_text(json.dumps(case.CONFIG))
    save_file(case.lora_factors(changed_layers(model)), folder / "liveavatar.safetensors")
    return folder, folder / "liveavatar.safetensors"


def changed_layers(model: nn.Module) -> dict[str, tuple[int, int]]:
    """name: (out, in) of the linear layers that the LoRA changes."""
    return {
        name: (m.out_features, m.in_features)
        for name, m in model.named_modules()
        if isinstance(m, nn.Linear) and name.endswith(CHANGED)
    }


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Gives the memory of all tensors made since that are alive, each storage once."""
    gc.collect()
    gc.freeze()

    def alive() -> int:
        gc.collect()
        storages = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for t in gc.get_objects()
            if issubclass(type(t), torch.Tensor) and not t.is_meta
        }
        return sum(storages.values())

    yield alive
    gc.unfreeze()
