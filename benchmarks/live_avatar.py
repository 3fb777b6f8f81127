"""How fast LiveAvatar's blocks are made, with random weights at the real size.

    python benchmarks/live_avatar.py [--size 704*384] [--blocks 16] [--options bf16,compile,...]
                                     [--upstream PATH]

On a GPU: DiT seconds per forward, TFLOP/s, VAE seconds per block, frames per second over the frames
that reach the host, time to the first, peak memory; for every option, and upstream's module at the
same size when PATH is its checkout, and what that imports is there. Everywhere: operations counted,
and the bound that a GPU sets. Without a GPU: where the time of a small model goes on the CPU; fails
where an operation that is no part of the model takes more than 5 %. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parent.parent
# Before this folder, in which a file has the package's name.
sys.path[:0] = [
    str(REPOSITORY / "examples" / "live_avatar"),
    str(REPOSITORY / "tests" / "models" / "live_avatar"),
]

from live_avatar.compiled import compile_parts  # noqa: E402
from live_avatar.dit import AvatarTransformer  # noqa: E402
from live_avatar.fp8 import use_float8  # noqa: E402
from live_avatar.generation import BlockMaker, Conditions, generate  # noqa: E402
from live_avatar.loading import put  # noqa: E402
from live_avatar.sizes import Grid, Sizes  # noqa: E402
from live_avatar.timeline import BLOCK_FRAMES, DROPPED_FRAMES  # noqa: E402
from live_avatar_flops import counted, on_meta  # noqa: E402

SMALL = Sizes(
    dim=640, heads=5, layers=4, ffn_dim=1728, text_dim=512, audio_dim=128, audio_layers=(0, 2)
)
"""For the CPU: a head is as large as in the real model."""
ROOFLINE = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.0e12)}
"""Dense bfloat16 operations and bytes of memory traffic per second, from the data sheets."""
MODEL = (
    "addmm", "mm", "attention", "norm", "add", "mul", "gelu", "silu", "conv", "cat", "copy",
)  # fmt: skip
"""Operations that the model is made of, by parts of their names; `cat` joins what was rotated,
copies fill the caches."""
OUTSIDE = 0.05
"""Share of the time that an operation outside the model may take."""
OPTIONS = ("bf16", "compile", "graph", "fp8", "fp8+compile", "fp8+compile+graph")


@dataclass(frozen=True)
class Timing:
    """Of one option: seconds of a step, of decoding a block, of all of a block, and to the first
    frames; the most bytes held."""

    option: str
    forward: float
    vae: float
    block: float
    first: float
    peak: int


def main() -> int:
    """Count, time, and print; 1 when too much goes into what is not the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="704*384")
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--options", default=",".join(OPTIONS))
    parser.add_argument("--upstream", type=Path)
    chosen = parser.parse_args()
    width, height = (int(side) // 8 for side in chosen.size.split("*"))
    grid = Grid(height, width)
    flops = counted(Sizes(), grid, 4)
    forward, text, prefill = (n / 1e12 for n in (flops.forward, flops.text, flops.prefill))
    print(f"{chosen.size}: {forward:.1f} TFLOP a forward, {4 * forward:.0f} a block;")
    print(f"once a video: {text:.1f} for the text and {prefill:.0f} for the conditions\n")
    if torch.cuda.is_available():
        on_gpu(grid, chosen, flops.forward)
        return 0
    return on_cpu(chosen)


def on_gpu(grid: Grid, chosen: argparse.Namespace, flops: float) -> None:
    """Every option at the real size."""
    name = torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    for card, (speed, traffic) in ROOFLINE.items():
        if card in name:
            compute, memory = flops / speed, 2 * 16.3e9 / traffic
            fps = BLOCK_FRAMES / (4 * max(compute, memory))
            print(f"bound in bfloat16: {compute:.3f} s a forward, {memory:.3f} s to read weights;")
            print(f"{fps:.1f} fps without the VAE\n")
    print("| option | s/forward | TFLOP/s | VAE s/block | fps | first frames s | peak GB |")
    print("|---|---|---|---|---|---|---|")
    for option in chosen.options.split(","):
        t = timed(option, Sizes(), grid, chosen.blocks, torch.device("cuda"))
        print(
            f"| {option} | {t.forward:.3f} | {flops / t.forward / 1e12:.0f} | {t.vae:.3f} "
            f"| {BLOCK_FRAMES / t.block:.2f} | {t.first:.2f} | {t.peak / 1e9:.1f} |"
        )
    if chosen.upstream:
        seconds = upstreams(chosen.upstream, Sizes(), grid, torch.device("cuda"), torch.bfloat16)
        print(f"| upstream, eager | {seconds:.3f} | {flops / seconds / 1e12:.0f} | | | | |")


WARM_UP = 9
"""Blocks after which nothing is new: the ring is full at 4, every graph is recorded at 8."""


def timed(option: str, sizes: Sizes, grid: Grid, blocks: int, device: torch.device) -> Timing:
    """A model made for the option, which makes the video twice: the first time compiles."""
    from live_avatar.vae import VideoAutoencoder, VideoDecoding, use_channels_last

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model = on_device(sizes, device, "fp8" in option)
    if "compile" in option:
        compile_parts(model)
    vae = VideoAutoencoder().to(device, torch.bfloat16).requires_grad_(False).eval()
    use_channels_last(vae)
    given = conditions(sizes, grid)
    for _ in range(2):
        moments, video = [clock()], VideoDecoding(vae)
        video(torch.zeros(1, sizes.latent_channels, 1, grid.height, grid.width, device=device))
        made = generate(model, given, sounds(sizes, blocks), seed=1, graphs="graph" in option)
        for block, latents in enumerate(made):
            moments.append(clock())
            frames = video(latents.unsqueeze(0))[:, :, 0 if block else DROPPED_FRAMES :]
            (frames * 127.5 + 127.5).to(torch.uint8).cpu()
            moments.append(clock())
    denoised, shown = moments[1::2], moments[2::2]
    steady = range(WARM_UP, blocks)
    return Timing(
        option,
        sum(denoised[b] - shown[b - 1] for b in steady) / len(steady) / 4,
        sum(shown[b] - denoised[b] for b in steady) / len(steady),
        (shown[-1] - shown[WARM_UP - 1]) / len(steady),
        shown[0] - moments[0],
        torch.cuda.max_memory_allocated(),
    )


def on_cpu(chosen: argparse.Namespace) -> int:
    """A small model: which operations take the time, and upstream's beside it; 1 when one that is
    no part of the model takes more than OUTSIDE."""
    grid, model = Grid(16, 32), on_device(SMALL, torch.device("cpu"), False)
    model = model.float()
    maker = BlockMaker(model, grid)
    maker.start(conditions(SMALL, grid))
    sound, noise = torch.randn(25, 12, SMALL.audio_dim), torch.randn(16, 3, 16, 32)
    for block in range(4):
        maker.make(block, noise, sound, 10)
    ours = min(seconds(lambda: maker.make(4, noise, sound, 10)) for _ in range(4)) / 4
    with torch.profiler.profile() as profile:
        maker.make(4, noise, sound, 10)
    events = sorted(profile.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in events)
    print(f"A model of {SMALL.layers} layers of {SMALL.dim} on the CPU, {ours:.3f} s a forward:\n")
    print("| operation | share | of the model |\n|---|---|---|")
    wrong = 0
    for event in events[:8]:
        of_model = any(part in event.key for part in MODEL)
        share = event.self_cpu_time_total / total
        wrong |= not of_model and share > OUTSIDE
        print(f"| {event.key} | {share:.1%} | {'yes' if of_model else 'no'} |")
    if chosen.upstream:
        theirs = upstreams(chosen.upstream, SMALL, grid, torch.device("cpu"), torch.float32)
        print(f"\nupstream's module: {theirs:.3f} s a forward, {theirs / ours:.2f} times ours")
    return wrong


def on_device(sizes: Sizes, device: torch.device, float8: bool) -> AvatarTransformer:
    """Random weights, made where they are used, one after the other as in loading."""
    model = on_meta(sizes)
    weights = model.state_dict()
    if float8:
        use_float8(model)
    torch.manual_seed(0)
    for name, meta in weights.items():
        scale = max(1, meta[0].numel()) ** -0.5 if meta.ndim > 1 else 0.1
        put(model, name, torch.randn(meta.shape, dtype=meta.dtype, device=device) * scale)
    return model


def conditions(sizes: Sizes, grid: Grid) -> Conditions:
    """A random picture and prompt."""
    picture = (sizes.latent_channels, 1, grid.height, grid.width)
    motion = torch.randn(picture[0], 19, *picture[2:])
    return Conditions(torch.randn(picture), motion, torch.randn(100, sizes.text_dim))


def sounds(sizes: Sizes, blocks: int) -> Iterator[torch.Tensor]:
    """Random audio features of every block."""
    for _ in range(blocks):
        yield torch.randn(sizes.audio_states, BLOCK_FRAMES, sizes.audio_dim)


def upstreams(
    checkout: Path, sizes: Sizes, grid: Grid, device: torch.device, dtype: torch.dtype
) -> float:
    """Seconds of a steady forward of upstream's module with one step's cache, nothing compiled."""
    import avatar_upstream as upstream

    upstream.enter(checkout.resolve())
    load = upstream.module if device.type == "cpu" else upstream.importlib.import_module
    load(f"{upstream.WAN}.wan_2_2.modules.model")
    model = load(f"{upstream.WAN}.causal_model_s2v").CausalWanModel_S2V(
        cond_dim=sizes.pose_channels, audio_dim=sizes.audio_dim, enable_adain=True,
        audio_inject_layers=list(sizes.audio_layers), zero_timestep=True, enable_motioner=False,
        enable_framepack=True, framepack_drop_mode="padd", dim=sizes.dim, ffn_dim=sizes.ffn_dim,
        text_dim=sizes.text_dim, num_heads=sizes.heads, num_layers=sizes.layers,
    )  # fmt: skip
    model = model.to(device, dtype).requires_grad_(False).eval()
    model.freqs = model.freqs.to(device)
    tokens, head = grid.frame_tokens, (sizes.heads, sizes.head_dim)

    def slots(count: int) -> torch.Tensor:
        return torch.zeros(1, count, *head, device=device, dtype=dtype)

    caches: list[dict[str, Any]] = [
        {
            "k": slots(12 * tokens),
            "v": slots(12 * tokens),
            "cond_k": slots(3 * tokens),
            "cond_v": slots(3 * tokens),
            "cond_end": torch.zeros(1, dtype=torch.long, device=device),
        }
        for _ in range(sizes.layers)
    ]

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=device, dtype=dtype)

    latents = random(16, 3, grid.height, grid.width)
    given: dict[str, Any] = {
        "context": [random(100, sizes.text_dim)],
        "seq_len": None,
        "cond_states": torch.zeros_like(latents)[None],
        "motion_latents": random(1, 16, 19, grid.height, grid.width),
        "ref_latents": random(1, 16, 1, grid.height, grid.width),
        "audio_input": random(1, 25, sizes.audio_dim, 12),
        "motion_frames": [73, 19],
        "crossattn_cache": [None] * sizes.layers,
        "kv_cache": caches,
    }
    t = torch.full((1, 3), 1000.0, device=device)
    with torch.no_grad(), torch.amp.autocast("cuda", torch.bfloat16, device.type == "cuda"):
        model([latents], t=t * 0, sink_flag=True, current_start=0, **given)
        for block in range(4):
            model([latents], t=t, current_start=3 * block * tokens, **given)
        start = 12 * tokens
        return min(
            seconds(lambda: model([latents], t=t, current_start=start, **given)) for _ in range(8)
        )


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    start = clock()
    action()
    return clock() - start


def clock() -> float:
    """Now, when the GPU has done what it was given; on the CPU the time of this process alone."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    sys.exit(main())
