"""How fast Hallo2's frames are made, with random weights at the real size.

    python benchmarks/hallo2.py [--sizes 256,512,1024] [--rungs none,model,halved,sequential]
                                [--steps 40]

On a GPU: seconds per frame and the most memory held, for every size and rung, beside what others
published. Everywhere: operations counted, and the bound that a GPU sets. Without a GPU: one step of
small networks on the CPU. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).resolve().parent
# A file here has the package's name: the package is found first, and this folder last.
sys.path[:] = [
    str(HERE.parent / "examples" / "hallo2"),
    *(place for place in sys.path if Path(place or ".").resolve() != HERE),
]

from diffusers import AutoencoderKL  # noqa: E402
from hallo2.generation import Regions, Studio  # noqa: E402
from hallo2.network import Networks  # noqa: E402
from hallo2.offload import Places  # noqa: E402
from hallo2.sizes import CLIP_FRAMES, HEARD_FRAMES, HEARD_LAYERS, Sizes  # noqa: E402

sys.path.append(str(HERE))

from hallo2_flops import UNET, VAE, conditions, counted  # noqa: E402

PUBLISHED = {256: (0.46, 6.62), 512: (1.63, 9.77), 1024: (10.3, 20.66)}
"""Seconds per frame and GB of upstream's code by the side of a picture, in half precision and 40
steps: fudan-generative-vision/hallo#28."""
SPEED = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense half-precision operations per second, from the data sheets."""
RUNGS = ("none", "model", "halved", "sequential")
"""halved: as model, the frames without guidance and with it one after the other."""
SMALL = Sizes(channels=(64, 128, 192, 192), heard=32, sound_hidden=64, sound=32, context=32)


@dataclass(frozen=True)
class Timing:
    """Of one frame; the most bytes held."""

    seconds: float
    peak: int


def main() -> None:
    """Count, time, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="256,512,1024")
    parser.add_argument("--rungs", default=",".join(RUNGS))
    parser.add_argument("--steps", type=int, default=40)
    chosen = parser.parse_args()
    sides = [int(side) for side in chosen.sizes.split(",")]
    frame = {side: operations(side, chosen.steps) for side in sides}
    if torch.cuda.is_available():
        on_gpu(frame, chosen.rungs.split(","), chosen.steps)
    else:
        on_cpu()


def operations(side: int, steps: int) -> float:
    """Of one frame; told."""
    flops = counted(side)
    of_frame = flops.of_clip(steps) / CLIP_FRAMES
    print(
        f"{side}x{side}: {flops.step / 1e12:.1f} TFLOP a step of {CLIP_FRAMES} frames, "
        f"{flops.reference / 1e12:.1f} a clip's reference, {of_frame / 1e12:.0f} a frame"
    )
    return of_frame


def on_gpu(frame: dict[int, float], rungs: list[str], steps: int) -> None:
    """Every size and rung."""
    name = torch.cuda.get_device_name()
    print(f"\n{name}, torch {torch.__version__}, float16, {steps} steps")
    speed = next((speed for card, speed in SPEED.items() if card in name), None)
    print("\n| size | rung | s/frame | TFLOP/s | bound s/frame | peak GB | published s/frame, GB |")
    print("|---|---|---|---|---|---|---|")
    for rung in rungs:
        networks, vae = random_networks(torch.float16)
        places = Places("cuda", "model" if rung == "halved" else rung)
        studio = Studio(networks, vae, Sizes(), places, rung == "halved")
        for side, flops in frame.items():
            t = timed(studio, side, steps)
            bound = f"{flops / speed:.2f}" if speed else ""
            known = "{} s, {} GB".format(*PUBLISHED[side]) if side in PUBLISHED else ""
            print(
                f"| {side} | {rung} | {t.seconds:.2f} | {flops / t.seconds / 1e12:.0f} "
                f"| {bound} | {t.peak / 1e9:.2f} | {known} |",
                flush=True,
            )
        del studio, networks, vae


def timed(studio: Studio, side: int, steps: int) -> Timing:
    """Of the second clip: the first one finds its kernels."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    made = film(studio, side, steps)
    next(made)
    start = time.perf_counter()
    next(made)
    seconds = time.perf_counter() - start
    return Timing(seconds / CLIP_FRAMES, torch.cuda.max_memory_allocated())


def film(studio: Studio, side: int, steps: int) -> Iterator[torch.Tensor]:
    """Two clips of a portrait that is grey, and of a face in its middle."""
    located = torch.zeros(3, side, side)
    located[:, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 1
    masks = tuple(torch.ones((side // 8 >> level) ** 2) for level in range(4))
    return studio.frames(
        torch.full((3, side, side), -0.1), torch.zeros(512),
        Regions(located, masks, masks, masks),
        torch.zeros(2 * CLIP_FRAMES, HEARD_FRAMES, HEARD_LAYERS, Sizes().heard), steps=steps,
    )  # fmt: skip


def random_networks(dtype: torch.dtype) -> tuple[Networks, AutoencoderKL]:
    """Made on the GPU one tensor after the other, and put by."""
    with torch.device("meta"):
        networks, vae = Networks(UNET, Sizes()), AutoencoderKL(**VAE)
    networks.denoising_unet.leave_out_unused()
    for network in (networks, vae):
        randomize(network, dtype)
    return networks, vae


def randomize(network: nn.Module, dtype: torch.dtype) -> None:
    """Signals keep their size."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    weights = {}
    for name, meta in network.state_dict().items():
        scale = max(1, meta[0].numel()) ** -0.5 if meta.ndim > 1 else 0.02
        mean = 1.0 if meta.ndim == 1 and name.endswith("weight") else 0.0
        drawn = torch.randn(meta.shape, dtype=dtype, device=device) * scale + mean
        weights[name] = drawn.cpu()
    network.load_state_dict(weights, strict=True, assign=True)
    network.eval().requires_grad_(False)


@torch.no_grad()
def on_cpu() -> None:
    """One step of small networks."""
    config = {**UNET, "block_out_channels": list(SMALL.channels), "cross_attention_dim": 32}
    with torch.device("meta"):
        networks = Networks(config, SMALL)
    randomize(networks, torch.float32)
    given = conditions(networks, SMALL, 16)
    given = replace(given, sound=torch.zeros_like(given.sound))
    latents, t = torch.randn(2 * CLIP_FRAMES, 4, 16, 16), torch.tensor([500])
    took = []
    for _ in range(3):
        start = time.process_time()
        networks.denoising_unet(latents, t, given)
        took.append(time.process_time() - start)
    print(
        f"\nnetworks of {SMALL.channels} channels at 128x128 on the CPU: {min(took):.2f} s a step"
    )


if __name__ == "__main__":
    main()
