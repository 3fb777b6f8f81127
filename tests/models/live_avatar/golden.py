"""Make the numbers that the tests compare with, by running upstream's code on the CPU.

    python golden.py --upstream PATH --output golden

PATH is a checkout of https://github.com/Alibaba-Quark/LiveAvatar at `avatar_upstream.COMMIT`.
Needs torch, diffusers, transformers, accelerate, peft, einops, easydict, ftfy, regex and Pillow.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avatar_case as case
import avatar_upstream as upstream
import numpy as np
import torch
from filling import fill, filled
from PIL import Image
from safetensors.torch import save_file

LARGEST_FILE = 200_000
REAL = {
    **case.CONFIG,
    "audio_dim": 1024,
    "audio_inject_layers": [0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39],
    "dim": 5120,
    "ffn_dim": 13824,
    "freq_dim": 256,
    "text_dim": 4096,
    "text_len": 512,
    "num_heads": 40,
    "num_layers": 40,
}
ROTATED_HEAD = 128
"""RoPE is also compared at the real size of a head."""


def main() -> None:
    """Write every file of golden numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    checkout = chosen.upstream.resolve()
    upstream.enter(checkout)
    model = small_model()
    made = {
        "networks": networks(model),
        "block": one_block(model),
        "rope": positions(model),
        "float8": float8(),
        "generation": generation(model, lora=False, online=False),
        "adaptive": generation(small_model(), lora=True, online=True),
    }
    names = real_names()
    origin = json.dumps({"commit": upstream.COMMIT, "sha256": upstream.hashes(checkout)})
    chosen.output.mkdir(parents=True, exist_ok=True)
    for name, arrays in made.items():
        path = chosen.output / f"{name}.npz"
        np.savez_compressed(path, origin=np.array(origin), **arrays)
        assert path.stat().st_size < LARGEST_FILE, f"{path} is too large"
    packed = gzip.compress(json.dumps(names).encode(), mtime=0)
    (chosen.output / "state_dict.json.gz").write_bytes(packed)


def small_model() -> Any:
    """Upstream's network in the small size, filled."""
    upstream.module(f"{upstream.WAN}.wan_2_2.modules.model")
    model = upstream.module(f"{upstream.WAN}.causal_model_s2v").CausalWanModel_S2V(**case.CONFIG)
    fill(model, case.NEAR_ONE)
    return model.eval().requires_grad_(False)


def real_names() -> dict[str, list[int]]:
    """Names and shapes of the weights at the real size, where nothing is allocated."""
    with torch.device("meta"):
        model = upstream.module(f"{upstream.WAN}.causal_model_s2v").CausalWanModel_S2V(**REAL)
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


@torch.no_grad()
def networks(model: Any) -> dict[str, np.ndarray]:
    """The parts that can be called by themselves."""
    features = case.audio(1).permute(0, 2, 1)[None]
    repeated = torch.cat([features[..., :1].repeat(1, 1, 1, 73), features], -1)
    whole, local = model.casual_audio_encoder(repeated)
    packed, _, _ = model.frame_packer(case.motion()[None])
    tokens = filled("tokens", (1, 3 * case.TOKENS, case.CONFIG["dim"]))
    embedding = model.time_embedding(sinusoid(model, torch.tensor([857.6923, 0.0])))
    projected = model.time_projection(embedding)
    return arrays(
        audio_global=whole[0, 19:, 0],
        audio_local=local[0, 19:],
        packed=packed[0][0],
        embedding=embedding,
        modulation=projected,
        head=model.head(tokens, embedding[:1].repeat(3, 1)),
        text=model.text_embedding(case.text()),
    )


@torch.no_grad()
def one_block(model: Any) -> dict[str, np.ndarray]:
    """Prefill, then the first block at the first noise level: what is cached and what comes out."""
    caches = empty_caches()
    given = given_to(model, pose=case.pose(0)[None, :, :3])
    x, t = [case.noise(0)[:, :3]], torch.full((1, 3), 1000.0)
    model(x, t=t * 0, sink_flag=True, kv_cache=caches, **given)
    turned = upstream.module(f"{upstream.WAN}.causal_model_s2v").causal_rope_apply_cond
    start = model.pre_compute_freqs
    condition = slice(0, int(caches[0]["cond_end"]))
    velocity = model(x, t=t, kv_cache=caches, **given)[0]
    seen = slice(0, 3 * case.TOKENS)
    return arrays(
        velocity=velocity,
        turned=torch.cat([turned(c["cond_k"][:, condition], None, start) for c in caches])[:, ::3],
        condition_values=torch.cat([c["cond_v"][:, condition] for c in caches])[:, ::5],
        keys=torch.cat([c["k"][:, seen] for c in caches])[:, ::3],
        values=torch.cat([c["v"][:, seen] for c in caches])[:, ::5],
    )


@torch.no_grad()
def positions(model: Any) -> dict[str, np.ndarray]:
    """Upstream's complex numbers in float64, at the real size of a head and late in a video."""
    network = upstream.module(f"{upstream.WAN}.causal_model_s2v")
    d, rows, columns = ROTATED_HEAD, case.HEIGHT // 2, case.WIDTH // 2
    tables = [network.rope_params(45000, n) for n in (d - 4 * (d // 6), *[2 * (d // 6)] * 2)]
    freqs = torch.cat(tables, 1)
    at = torch.tensor([[0, 0, 0]]), torch.tensor([[3, rows, columns]])
    noisy = [[at[0], at[1], at[1]]]
    x = filled("rotated", (1, 3 * case.TOKENS, 2, d))
    made = {}
    for first in (0, 57, 40_000):
        grids = network.rollout_grid_sizes(noisy, first)
        angles = network.rope_precompute(x, grids, freqs)
        made[f"frames_{first}"] = network.causal_rope_apply(x, None, angles)[:, :: case.TOKENS // 4]
    conditions = filled("conditions", (1, 5 * case.TOKENS // 2, 2, d))
    for moved in (0, 45):
        grids = network.rollout_grid_sizes(model.rope_cache["grid_sizes"], moved)
        angles = network.rope_precompute(conditions, grids, freqs)
        made[f"conditions_{moved}"] = network.causal_rope_apply_cond(conditions, None, angles)[
            :, ::5
        ]
    return arrays(**made)


def float8() -> dict[str, np.ndarray]:
    """What upstream quantizes a tensor to, and which layers."""
    code = upstream.module("liveavatar.utils.fp8_linear")
    made = {}
    for name, scale in (("large", 30.0), ("small", 0.02)):
        held, reciprocal = code.quant_fp8(filled(f"float8 {name}", (32, 48), scale))
        made[name], made[f"{name}_scale"] = held.float(), reciprocal
    model = small_model()
    ignored = [
        "text_embedding", "time_embedding", "time_projection", "head.head",
        "casual_audio_encoder.encoder.final_linear",
    ]  # fmt: skip
    code.replace_linear_with_scaled_fp8(model, ignore_keys=ignored)
    layers = [n for n, m in model.named_modules() if isinstance(m, code.FP8ScaleLinear)]
    return {**arrays(**made), "layers": np.array(sorted(layers))}


@torch.no_grad()
def generation(model: Any, lora: bool, online: bool) -> dict[str, np.ndarray]:
    """Upstream's `generate` over two clips; stand-ins for what is not the network.

    `online`: the first frame made takes the reference's place after the first clip; with poses.
    """
    code = upstream.module(f"{upstream.WAN}.causal_s2v_pipeline")
    pipeline = object.__new__(code.WanS2V)
    if lora:
        model = with_lora(pipeline, model)
    vae = StandInVAE()
    pipeline.__dict__.update(
        noise_model=model, vae=vae, text_encoder=vae, audio_encoder=vae, device=torch.device("cpu"),
        param_dtype=torch.float32, motion_frames=73, num_frames_per_block=3, init_on_cpu=False,
        num_train_timesteps=1000, single_gpu=True, offload_kv_cache=False, rank=0, t5_cpu=True,
        get_gen_size=lambda **_: (8 * case.HEIGHT, 8 * case.WIDTH),
        encode_prompt=lambda *_: ([case.text()], None),
        encode_audio=lambda *_, **__: (case.audio().permute(0, 2, 1)[None], case.CLIPS),
        load_pose_cond=lambda **_: [case.pose(clip)[None] for clip in range(case.CLIPS)],
    )  # fmt: skip
    clips = iter(range(case.CLIPS))
    steps = iter(d for d in case.DISTANCES for _ in range(case.STEPS))
    with tempfile.TemporaryDirectory() as folder, Replaced() as replaced:
        replaced(code.dist, "get_rank", lambda: 0)
        replaced(torch, "randn", lambda *_, **__: case.noise(next(clips)))
        replaced(random, "randint", lambda *_: next(steps))
        replaced(code.transforms, "ToTensor", lambda: lambda _: torch.zeros(3, 64, 128))
        Image.new("RGB", (128, 64)).save(f"{folder}/picture.png")
        pipeline.generate(
            ref_image_path=f"{folder}/picture.png", audio_path="sound.wav", infer_frames=48,
            num_repeat=case.CLIPS, sample_solver="euler", sampling_steps=case.STEPS, n_prompt=None,
            offload_model=False, enable_online_decode=online, seed=1,
            pose_video="pose.mp4" if online else None,
        )  # fmt: skip
    latents = torch.cat(vae.decoded, 1)
    return arrays(latents=latents[:, :, :, ::2] if online else latents)


def with_lora(pipeline: Any, model: Any) -> Any:
    """Upstream's own way of merging; it does not need a file of the real size."""
    linear = {
        name: (m.out_features, m.in_features)
        for name, m in model.named_modules()
        if isinstance(m, torch.nn.Linear)
        and name.endswith((".q", ".k", ".v", ".o", ".ffn.0", ".ffn.2"))
    }
    with tempfile.TemporaryDirectory() as folder:
        save_file(case.lora_factors(linear), f"{folder}/liveavatar.safetensors")
        return pipeline.add_lora_to_model(
            model,
            lora_rank=case.LORA_RANK,
            lora_alpha=case.LORA_ALPHA,
            pretrained_lora_path=f"{folder}/liveavatar.safetensors",
        )


class StandInVAE:
    """Latents by formula for what upstream encodes; what it decodes is kept."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self) -> None:
        self.model = torch.nn.Identity()
        self.decoded: list[torch.Tensor] = []

    def encode(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """The picture comes as 5 frames; the motion as 365, of which the last 19 latents count."""
        latents = (frames.shape[2] + 3) // 4
        known = case.reference() if latents == 2 else case.motion()
        before = torch.zeros(16, latents - known.shape[1], case.HEIGHT, case.WIDTH)
        return [torch.cat([before, known], 1)]

    def decode(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """A clip is the last 12 latents."""
        self.decoded.append(latents[0, :, -12:].clone())
        return [torch.zeros(3, 4 * latents.shape[2] - 3, 8 * case.HEIGHT, 8 * case.WIDTH)]


class Replaced:
    """Attributes that stand in for a while."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Replaced:
        return self

    def __call__(self, owner: Any, name: str, stand_in: Callable[..., Any]) -> None:
        """Until the end of the block, `owner.name` is this."""
        self._before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, stand_in)

    def __exit__(self, *_: object) -> None:
        for owner, name, before in reversed(self._before):
            setattr(owner, name, before)


def empty_caches() -> list[dict[str, torch.Tensor]]:
    """Upstream's cache of one step, for each layer."""
    head = (case.CONFIG["num_heads"], case.CONFIG["dim"] // case.CONFIG["num_heads"])
    return [
        {
            **{k: torch.zeros(1, 12 * case.TOKENS, *head) for k in ("k", "v")},
            **{k: torch.zeros(1, 3 * case.TOKENS, *head) for k in ("cond_k", "cond_v")},
            "cond_end": torch.tensor([0]),
        }
        for _ in range(case.CONFIG["num_layers"])
    ]


def given_to(model: Any, pose: torch.Tensor) -> dict[str, Any]:
    """What every call of upstream's network is given."""
    return {
        "context": [case.text()],
        "seq_len": None,
        "cond_states": pose,
        "motion_latents": case.motion()[None],
        "ref_latents": case.reference()[None],
        "audio_input": case.audio(1).permute(0, 2, 1)[None],
        "motion_frames": [73, 19],
        "crossattn_cache": [None] * len(model.blocks),
        "current_start": 0,
    }


def sinusoid(model: Any, t: torch.Tensor) -> torch.Tensor:
    """Upstream's embedding of timesteps."""
    code = upstream.module(f"{upstream.WAN}.causal_model_s2v")
    embedded: torch.Tensor = code.sinusoidal_embedding_1d(model.freq_dim, t).float()
    return embedded


def arrays(**tensors: torch.Tensor) -> dict[str, np.ndarray]:
    """As they are kept."""
    return {name: t.detach().float().numpy() for name, t in tensors.items()}


if __name__ == "__main__":
    main()
