"""How large the parts of a checkpoint are: as its config.json and the shapes of its tensors say."""

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Tensors = Mapping[str, Any]
FROM_CONFIG = (
    "dim", "in_dim", "ffn_dim", "out_dim", "freq_dim", "eps", "num_heads", "num_layers", "cond_dim",
    "audio_dim", "num_audio_token", "enable_adain", "audio_inject_layers", "zero_timestep",
    "add_last_motion", "framepack_drop_mode",
)  # fmt: skip


class NotS2V(RuntimeError):
    """The weights are of another model."""


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a repo. Raises NotS2V for that of another model."""
    config: dict[str, Any] = json.loads(path.read_text())
    if config.get("model_type") != "s2v":
        raise NotS2V(f"{path.parent} holds a model of type {config.get('model_type')!r}, not s2v")
    return config


def transformer_sizes(config: Mapping[str, Any], tensors: Tensors) -> dict[str, Any]:
    """Arguments of diffsynth's WanS2VModel; what config.json leaves out is in the shapes."""
    return {
        **{name: config[name] for name in FROM_CONFIG},
        "text_dim": tensors["text_embedding.0.weight"].shape[1],
        "patch_size": tuple(tensors["patch_embedding.weight"].shape[2:]),
    }


def text_encoder_sizes(tensors: Tensors) -> dict[str, int]:
    """Arguments of diffsynth's WanTextEncoder."""
    vocabulary, dim = tensors["token_embedding.weight"].shape
    buckets, heads = tensors["blocks.0.pos_embedding.embedding.weight"].shape
    return {
        "vocab": vocabulary,
        "dim": dim,
        "dim_attn": tensors["blocks.0.attn.q.weight"].shape[0],
        "dim_ffn": tensors["blocks.0.ffn.fc1.weight"].shape[0],
        "num_heads": heads,
        "num_layers": 1 + max(int(match[1]) for match in map(_BLOCK.match, tensors) if match),
        "num_buckets": buckets,
    }


def autoencoder_sizes(tensors: Tensors) -> dict[str, Any]:
    """Arguments of diffsynth's VideoVAE_: how wide its levels are, how many blocks each has, and
    the channels of its latents."""
    dim = len(tensors["encoder.conv1.bias"])
    levels: list[list[int]] = [[]]
    for place in itertools.count():
        name = f"encoder.downsamples.{place}"
        if f"{name}.residual.6.bias" in tensors:
            levels[-1].append(len(tensors[f"{name}.residual.6.bias"]))
        elif f"{name}.resample.1.bias" in tensors:
            levels.append([])
        else:
            break
    return {
        "dim": dim,
        "z_dim": len(tensors["conv2.bias"]),
        "dim_mult": [widths[-1] // dim for widths in levels],
        "num_res_blocks": len(levels[0]),
    }


_BLOCK = re.compile(r"blocks\.(\d+)\.")
