"""Make the numbers of restored faces that the tests compare with, by running upstream's network.

    python restorer_golden.py --upstream PATH --output golden

PATH is a checkout of https://github.com/fudan-generative-vision/hallo2 at `COMMIT`. Needs torch,
einops and tqdm. Upstream writes the channels of its network into its code: here there are fewer,
with as many groups in a norm as there are channels where these are less than 32. Its logger is
stood in for, and its packages are entered without what they import besides.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import restorer_case as case
import torch

COMMIT = "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"
FILES = ("basicsr/archs/codeformer_arch.py", "basicsr/archs/vqgan_arch.py")
LARGEST_FILE = 200_000
SURE = 1e-3
"""A code is ahead of the next one by so much at least, so that rounding cannot turn it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    hashes = {f: hashlib.sha256((chosen.upstream / f).read_bytes()).hexdigest() for f in FILES}
    origin = np.array(json.dumps({"commit": COMMIT, "sha256": hashes}))
    architecture = entered(chosen.upstream)
    names = json.dumps(real_names(architecture)).encode()
    packed = gzip.compress(names, mtime=0)
    (chosen.output / "restorer_state_dict.json.gz").write_bytes(packed)
    path = chosen.output / "restorer.npz"
    np.savez_compressed(path, origin=origin, **numbers(small(architecture)))
    assert path.stat().st_size < LARGEST_FILE, path.stat().st_size


def entered(checkout: Path) -> Any:
    """The module of upstream's network."""
    for package in ("basicsr", "basicsr.archs", "basicsr.utils"):
        module = sys.modules[package] = types.ModuleType(package)
        module.__path__ = [str(checkout / package.replace(".", "/"))]
    sys.modules["basicsr.utils"].get_root_logger = lambda: None  # type: ignore[attr-defined]
    return importlib.import_module("basicsr.archs.codeformer_arch")


def real_names(architecture: Any) -> dict[str, list[int]]:
    """And shapes, of the network as upstream's script builds it, where nothing is allocated."""
    with torch.device("meta"):
        network = architecture.CodeFormer(
            dim_embd=512, codebook_size=1024, n_head=8, n_layers=9, connect_list=[*case.CONNECTED]
        )
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def small(architecture: Any) -> Any:
    """The network in the sizes of the case, filled."""
    vqgan = sys.modules["basicsr.archs.vqgan_arch"]
    vqgan.normalize = lambda channels: torch.nn.GroupNorm(
        min(case.GROUPS, channels), channels, eps=1e-6, affine=True
    )
    begin = vqgan.VQAutoEncoder.__init__
    vqgan.VQAutoEncoder.__init__ = lambda self, pixels, _base, *others: begin(
        self, pixels, case.BASE, *others
    )
    network = architecture.CodeFormer(
        dim_embd=case.WIDTH, codebook_size=case.CODES, n_head=case.HEADS, n_layers=case.LAYERS,
        connect_list=[*case.CONNECTED],
    )  # fmt: skip
    for name in case.CONNECTED:
        channels = network.channels[name] * case.BASE // 64
        network.fuse_convs_dict[name] = architecture.Fuse_sft_block(channels, channels)
    case.prepare(network)
    return network.eval()


@torch.no_grad()
def numbers(network: Any) -> dict[str, np.ndarray]:
    """Of each part alone, and of the whole."""
    latents, scores = watched(network.encoder.blocks[-1]), watched(network.idx_pred_layer)
    drawn = network.generator(case.latents())
    made = {"drawn": case.seen(drawn), "drawn moments": case.moments(drawn)}
    for frames in case.FRAMES:
        faces = case.faces(frames)
        for fidelity in case.FIDELITIES:
            restored, codes = network.inference(faces[None], w=fidelity, adain=True)
            made[f"{frames} restored {fidelity}"] = case.seen(restored[0])
            made[f"{frames} moments {fidelity}"] = case.moments(restored[0])
        best = scores[-1].topk(2, dim=2).values.diff(dim=2).abs().min()
        assert best > SURE, f"a code is ahead by {best} only"
        made[f"{frames} latents"] = latents[-1][:, ::8, ::2, ::2]
        made[f"{frames} scores"] = scores[-1].transpose(0, 1)[:, ::16]
        made[f"{frames} codes"] = codes[..., 0].to(torch.uint8)
    return {name: tensor.numpy() for name, tensor in made.items()}


def watched(module: torch.nn.Module) -> list[torch.Tensor]:
    """What it will give, call by call."""
    given: list[torch.Tensor] = []
    module.register_forward_hook(lambda _module, _shown, made: given.append(made))
    return given


if __name__ == "__main__":
    main()
