"""Upstream's code, loaded from a checkout to be compared with; nothing of it is kept.

It is written for GPUs, half precision and the full size. Where that is spelled out in the source,
it is replaced while the source is read, in memory, and must be found; the checkout is not changed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import os
import sys
import types
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

COMMIT = "9c2c38de1715e553127b42c82cb959f756b02595"
WAN = "liveavatar.models.wan"

BARE = (
    "liveavatar",
    "liveavatar.models",
    "liveavatar.utils",
    "liveavatar.utils.router",
    WAN,
    f"{WAN}.wan_2_2",
    f"{WAN}.wan_2_2.modules",
    f"{WAN}.wan_2_2.modules.s2v",
    f"{WAN}.wan_2_2.distributed",
    f"{WAN}.wan_2_2.utils",
)
"""Packages whose own code imports much that is not needed: entered without running it."""

ABSENT = {
    "decord": ("VideoReader",),
    "librosa": (),
    "torchvision": (),
    "torchvision.transforms": ("Resize", "CenterCrop", "ToTensor"),
    "torchvision.transforms.functional": (),
    "liveavatar.utils.args_config": ("args",),
    "liveavatar.utils.router.utils": ("process_masks_to_routing_logits",),
}
"""Imported, but never called for what is compared."""

HEADS = "self.noise_model.num_heads, self.noise_model.dim // self.noise_model.num_heads"

REPLACED = {
    "causal_model_s2v.py": (
        ('dim=1).to("cuda")', "dim=1)"),
        ("torch.zeros([1,5120,nf", "torch.zeros([1,self.dim,nf"),
        ("to(dtype=torch.bfloat16,device", "to(dtype=x[0].dtype,device"),
        ("self.norm3(x.to(torch.bfloat16))", "self.norm3(x)"),
    ),
    "causal_s2v_pipeline.py": (
        ("40, 128]", HEADS + "]"),
        ('f"cuda:{0}"', '"cpu"'),
        ('f"cuda:{gpu_id}"', '"cpu"'),
        ('f"cuda:{gpu_id+1}"', '"cpu"'),
    ),
    "fp8_linear.py": (
        ('@torch.compile(mode="max-autotune-no-cudagraphs", dynamic=True)', ""),
        ('device="cuda"', "device=None"),
    ),
}


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        source = Path(self.path).read_text()
        for old, new in REPLACED.get(Path(self.path).name, ()):
            if "liveavatar" in fullname:
                assert old in source, f"{self.path} has no {old!r}"
                source = source.replace(old, new)
        return compile(source, self.path, "exec")


def enter(checkout: Path) -> None:
    """Make `import liveavatar...` find the checkout."""
    os.environ["ENABLE_COMPILE"] = "false"
    _before_the_stand_ins()
    torch.cuda.current_device = lambda: 0
    torch.cuda.synchronize = torch.cuda.empty_cache = lambda *_: None
    for name in BARE:
        package = types.ModuleType(name)
        package.__path__ = [str(checkout / name.replace(".", "/"))]
        package.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        sys.modules[name] = package
    for name, members in ABSENT.items():
        module = sys.modules[name] = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        for member in members:
            setattr(module, member, _unused)
    for name in ABSENT:
        parent, _, child = name.rpartition(".")
        if parent in ABSENT:
            setattr(sys.modules[parent], child, sys.modules[name])
    hook = importlib.machinery.FileFinder.path_hook((_Loader, [".py"]))

    def only_here(path: str) -> Any:
        if not Path(path).is_relative_to(checkout):
            raise ImportError
        return hook(path)

    sys.path_hooks.insert(0, only_here)
    sys.path_importer_cache.clear()


def _before_the_stand_ins() -> None:
    """Libraries that look for torchvision must not find what stands in for it."""
    importlib.import_module("peft")
    for package, members in (
        ("diffusers", ("FlowMatchEulerDiscreteScheduler",)),
        ("diffusers.loaders", ("FromOriginalModelMixin", "PeftAdapterMixin")),
        ("transformers", ("Wav2Vec2ForCTC", "Wav2Vec2Processor")),
    ):
        for member in members:
            getattr(importlib.import_module(package), member)


def module(name: str) -> types.ModuleType:
    """A module of upstream's, attention computed by torch on the CPU."""
    found = importlib.import_module(name)
    for attention in ("attention", "flash_attention"):
        if hasattr(found, attention):
            setattr(found, attention, _attention)
    return found


def hashes(checkout: Path) -> dict[str, str]:
    """sha256 of every file of upstream's that has been loaded."""
    files = {
        Path(m.__file__)
        for name, m in sys.modules.items()
        if name.startswith("liveavatar") and getattr(m, "__file__", None)
    }
    return {
        str(file.relative_to(checkout)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }


def _attention(q: Any, k: Any, v: Any, **_: Any) -> torch.Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous()


def _unused(*_: Any, **__: Any) -> Any:
    return lambda image: image
