"""`python -m checkpoints.prove DIR [REPO...]`: each loads by its real class and runs, on the CPU.

Prints a JSON line per call: what came out, and whether the same seed gave the same twice, another
seed another. Ends with 1 where one of them did not.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, MotionAdapter
from PIL import Image

from .calls import CALLS, IMAGE, IMAGE_CALLS, VIDEO, Call


def load(root: Path, repo: str, call: Call, **options: Any) -> DiffusionPipeline:
    """As the example does: DiffusionPipeline, unless another class is wanted of the folder."""
    owner = getattr(diffusers, call.loads_as) if call.loads_as else DiffusionPipeline
    if call.adapter:
        options["motion_adapter"] = MotionAdapter.from_pretrained(str(root / call.adapter))
    options = {"dtype": torch.float32, **call.options, **options}
    pipeline = owner.from_pretrained(str(root / repo), **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    width, height = size
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def start(call: Call) -> dict[str, Any]:
    """What it starts from: `image`, `video` or nothing."""
    if call.starts_from == VIDEO:
        return {"video": [picture(call.size, number) for number in range(call.frames)]}
    return {"image": picture(call.size)} if call.starts_from == IMAGE else {}


def make(pipeline: DiffusionPipeline, call: Call, seed: int = 0, **more: Any) -> dict[str, Any]:
    """Frames as float32 (frames, height, width, 3) in 0..1, and `audio` where there is some."""
    generator = torch.Generator().manual_seed(seed)
    arguments: dict[str, Any] = {**call.arguments, **start(call)}
    if call.loads_as == "VideoToVideoSDPipeline":
        del arguments["num_frames"]
    result = pipeline(**arguments, generator=generator, output_type="np", **more)
    pixels = getattr(result, call.output)
    made = {"frames": pixels if call.output == "images" else pixels[0]}
    if hasattr(result, "audio"):
        made["audio"] = result.audio[0].float().numpy()
    return {name: np.asarray(value) for name, value in made.items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def visibly(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Mean difference of pixels in steps of 1/255."""
    return round(float(np.abs(one["frames"] - other["frames"]).mean() * 255), 2)


def watch(pipeline: DiffusionPipeline, call: Call) -> list[int] | None:
    """Shape of the latents that a step's callback gets, or None where there is none."""
    seen: list[list[int]] = []

    def after(_: Any, step: int, time_: Any, given: dict[str, Any]) -> dict[str, Any]:
        seen.append(list(given["latents"].shape))
        return given

    try:
        make(pipeline, call, callback_on_step_end=after)
    except TypeError:
        return None
    return seen[0]


def prove(root: Path, repo: str, call: Call) -> dict[str, Any]:
    clock = time.perf_counter()
    pipeline = load(root, repo, call)
    loaded = time.perf_counter()
    first = make(pipeline, call)
    ran = time.perf_counter()
    again = make(load(root, repo, call), call)
    other = make(pipeline, call, seed=1)
    frames = first["frames"]
    height, width = call.size[1], call.size[0]
    report: dict[str, Any] = {
        "repo": repo, "class": type(pipeline).__name__, "load_s": round(loaded - clock, 2),
        "run_s": round(ran - loaded, 2), "shape": list(frames.shape),
        "as_asked": list(frames.shape) == [call.frames, height, width, 3],
        "finite": bool(np.isfinite(frames).all()), "repeats": same(first, again),
        "seeds_differ_by": visibly(first, other), "spread": round(float(frames.std() * 255), 1),
        "latents": watch(pipeline, call),
    }  # fmt: skip
    if "prompt" in call.arguments:
        words = Call(**{**vars(call), "arguments": {**call.arguments, "prompt": "two dogs"}})
        report["prompts_differ_by"] = visibly(first, make(pipeline, words))
    if "audio" in first:
        report["audio"] = list(first["audio"].shape)
        report["audio_differs"] = not np.array_equal(first["audio"], other["audio"])
    good = report["as_asked"] and report["finite"] and report["repeats"]
    return {**report, "ok": good and report["seeds_differ_by"] > 0.5}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m checkpoints.prove", description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("repos", nargs="*", default=list(CALLS))
    arguments = parser.parse_args()
    bad = 0
    for repo in arguments.repos:
        for call in (table[repo] for table in (CALLS, IMAGE_CALLS) if repo in table):
            report = prove(arguments.root, repo, call)
            print(json.dumps(report), flush=True)
            bad += not report["ok"]
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
