"""Small repositories in the layouts of real ones, as files by path, for `Hub.push`. No torch.

Sizes are in bytes and those of the weights, less their headers.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.hub import Content
from tests.support.hub.pickles import torch_zip

Files = dict[str, Content]
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "F8_E4M3": 1}
ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs -text\n"
SVD = {
    "feature_extractor": ("transformers", "CLIPImageProcessor"),
    "image_encoder": ("transformers", "CLIPVisionModelWithProjection"),
    "scheduler": ("diffusers", "EulerDiscreteScheduler"),
    "unet": ("diffusers", "UNetSpatioTemporalConditionModel"),
    "vae": ("diffusers", "AutoencoderKLTemporalDecoder"),
}
WEIGHTS = {
    "image_encoder": "model",
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
}
CONFIGS = {
    "feature_extractor": "preprocessor_config.json",
    "scheduler": "scheduler_config.json",
}


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes that nowhere repeat, the same for a seed. As floats they mean nothing."""
    return random.Random(seed).randbytes(size)


def safetensors(
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    seed: int = 0,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A file of tensors: (dtype, shape) by name, filled with a pattern."""
    header: dict[str, Any] = {"__metadata__": dict(metadata or {"format": "pt"})}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + ITEM_BYTES[dtype] * _product(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + pattern(end, seed)


def weights(size: int, seed: int = 0, dtype: str = "F32", prefix: str = "layer") -> bytes:
    """A file with two tensors, of `size` bytes in all (rounded down to whole elements)."""
    count = size // ITEM_BYTES[dtype]
    first = count // 2
    shapes = {f"{prefix}.weight": (dtype, (first,)), f"{prefix}.bias": (dtype, (count - first,))}
    return safetensors(shapes, seed)


def transformers(
    size: int = 4096, *, seed: int = 0, shards: int = 1, pickled: bool = False,
    safe: bool = True, license: str = "apache-2.0",
) -> Files:  # fmt: skip
    """A model with its tokenizer: as safetensors (in shards), as a pickled .bin, or both."""
    files: Files = {**_about(license, "transformers")}
    files["config.json"] = _json(
        {"architectures": ["VitsModel"], "model_type": "vits", "hidden_size": 16, "vocab_size": 38}
    )
    files["generation_config.json"] = _json({"do_sample": True})
    files["tokenizer.json"] = _json({"version": "1.0", "model": {"type": "BPE", "vocab": _vocab()}})
    files["tokenizer_config.json"] = _json({"tokenizer_class": "VitsTokenizer", "language": "eng"})
    files["special_tokens_map.json"] = _json({"pad_token": "<pad>", "unk_token": "<unk>"})
    if safe:
        files.update(_sharded("model", size, seed, shards))
    if pickled:
        files["pytorch_model.bin"] = torch_zip({"layer.weight": pattern(size - size % 4, seed)})
    return files


def diffusers(
    size: int = 4096, *, seed: int = 0, fp16: bool = True, unneeded: int = 0,
    license: str = "stable-video-diffusion-community",
) -> Files:  # fmt: skip
    """A pipeline in subfolders, as SVD-XT: each weight in full and in half size (`fp16`).

    `unneeded`: two files at the top, of so many bytes each, hold all weights once more in the
    layout of another program; they are listed only (no disk).
    """
    files: Files = {**_about(license, "diffusers"), "LICENSE.md": f"# {license}\n"}
    index = {name: list(component) for name, component in SVD.items()}
    version = {"_diffusers_version": "0.24.0.dev0"}
    files["model_index.json"] = _json(
        {"_class_name": "StableVideoDiffusionPipeline", **version, **index}
    )
    for number, (name, (_, kind)) in enumerate(SVD.items()):
        config = CONFIGS.get(name, "config.json")
        files[f"{name}/{config}"] = _json({"_class_name": kind, **version})
        if name in WEIGHTS:
            path = f"{name}/{WEIGHTS[name]}"
            files[f"{path}.safetensors"] = weights(size, seed + number)
            if fp16:
                half = weights(size // 2, seed + number, "F16")
                files[f"{path}.fp16.safetensors"] = half
    if unneeded:
        files["svd_xt.safetensors"] = unneeded
        files["svd_xt_image_decoder.safetensors"] = unneeded
    return files


def pipeline_of(*others: str, size: int = 2048) -> Files:
    """A pipeline that has few weights of its own and names other repositories in its config."""
    names = {f"part_{number}": name for number, name in enumerate(others)}
    lines = "".join(f"    {part}: {name}\n" for part, name in names.items())
    return {
        **_about("mit", "pyannote-audio"),
        "config.yaml": f"pipeline:\n  name: pipelines.Chained\n  params:\n{lines}",
        "model.safetensors": weights(size),
    }


def adapter(base: str, size: int = 2048) -> Files:
    """A LoRA: its config names the repository that it is of."""
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "r": 8, "lora_alpha": 16}
    return {
        **_about("apache-2.0", "peft", base_model=base),
        "adapter_config.json": _json(config),
        "adapter_model.safetensors": weights(size, prefix="lora_A"),
    }


def write(files: Mapping[str, Content], folder: Path) -> Path:
    """The same on disk; what is listed only becomes a sparse file."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, int):
            with target.open("wb") as file:
                file.truncate(content)
        elif isinstance(content, Path):
            target.write_bytes(content.read_bytes())
        elif content is not None:
            target.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def _sharded(stem: str, size: int, seed: int, shards: int) -> Files:
    """`model.safetensors`, or its parts and the index that names them."""
    if shards == 1:
        return {f"{stem}.safetensors": weights(size, seed)}
    names = [f"{stem}-{n + 1:05}-of-{shards:05}.safetensors" for n in range(shards)]
    part = size // shards
    files: Files = {
        name: weights(part, seed + number, prefix=f"layer.{number}")
        for number, name in enumerate(names)
    }
    where = {
        f"layer.{number}.{kind}": name
        for number, name in enumerate(names)
        for kind in ("weight", "bias")
    }
    index = {"metadata": {"total_size": part * shards}, "weight_map": where}
    return {**files, f"{stem}.safetensors.index.json": _json(index)}


def _about(license: str, library: str, **more: str) -> Files:
    card = {"license": license, "library_name": library, **more}
    text = "".join(f"{key}: {value}\n" for key, value in card.items())
    return {"README.md": f"---\n{text}---\n# A stand-in\n", ".gitattributes": ATTRIBUTES}


def _vocab() -> dict[str, int]:
    return {letter: number for number, letter in enumerate(" abcdefghijklmnopqrstuvwxyz'-?!,.")}


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
