"""Our SadTalker beside upstream's on this machine's CPU: seconds per frame and memory.

    python benchmarks/sadtalker.py --upstream SADTALKER [--size 256] [--frames 4] [--rounds 2]

Real sizes, weights by formula, the same on both sides; each side is a process of its own, and they
take turns, so that what else the machine does falls on both. Fails if ours takes more than 0.8 of
upstream's processor time, or a frame differs by more than one step of 255.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MOST = 0.8
sys.path.insert(0, str(ROOT / "tests" / "models" / "sadtalker"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256, choices=[128, 256, 512])
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", choices=["ours", "upstream"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        return work(given)
    words = [sys.executable, "-W", "ignore", __file__, "--upstream", str(given.upstream)]
    words += ["--size", str(given.size), "--frames", str(given.frames)]
    sides = {
        side: subprocess.Popen(
            [*words, "--side", side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for side in ("upstream", "ours")
    }
    told: dict[str, dict[str, Any]] = {}
    for _ in range(given.rounds):
        for side, process in sides.items():
            found = ask(process)
            best = told.setdefault(side, found)
            best.update(cpu=min(best["cpu"], found["cpu"]), wall=min(best["wall"], found["wall"]))
            best["rss"] = found["rss"]
    for process in sides.values():
        process.communicate()
    return report(told, given.size)


def ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    """One round of a side: seconds per frame, bytes at most, and the first frame."""
    assert process.stdin and process.stdout
    process.stdin.write("render\n")
    process.stdin.flush()
    line = next(line for line in process.stdout if line.startswith("{"))
    found: dict[str, Any] = json.loads(line)
    return found


def report(told: dict[str, dict[str, Any]], size: int) -> int:
    for side, found in told.items():
        print(
            f"{side:9} {size}: {found['cpu']:.2f} s of processor per frame, "
            f"{found['wall']:.2f} s of time, {found['rss'] / 1e9:.2f} GB at most"
        )
    ours, theirs = told["ours"], told["upstream"]
    ratio = {name: ours[name] / theirs[name] for name in ("cpu", "wall", "rss")}
    print("ours / upstream: " + ", ".join(f"{name} {value:.2f}" for name, value in ratio.items()))
    pairs = zip(ours["frame"], theirs["frame"], strict=True)
    apart = max(abs(a - b) for a, b in pairs)
    print(f"largest difference of a byte of the first frame: {apart}")
    return int(ratio["cpu"] > MOST or apart > 1)


def work(given: argparse.Namespace) -> int:
    """Renders once for each line of stdin."""
    import sadtalker_small as small
    import torch

    torch.set_grad_enabled(False)
    part = small.picture("part", given.size, given.size)
    track = small.noise("track", (given.frames, 70))
    render = (ours if given.side == "ours" else upstream)(given, part, track)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        first = render()
        spent = time.perf_counter() - wall, time.process_time() - cpu
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        found = {"wall": spent[0] / given.frames, "cpu": spent[1] / given.frames, "rss": most}
        print(json.dumps({**found, "frame": first.ravel()[::16].tolist()}), flush=True)
    return 0


def ours(given: argparse.Namespace, part: Any, track: Any) -> Callable[[], Any]:
    import sadtalker_small as small
    from sadtalker.blocks import fold
    from sadtalker.dense_motion import DenseMotion
    from sadtalker.generator import Generator
    from sadtalker.keypoints import KeypointDetector
    from sadtalker.mapping import MappingNet
    from sadtalker.options import Options
    from sadtalker.rendering import Renderer

    generator, keypoints = (
        small.filled(net) for net in (Generator(DenseMotion()), KeypointDetector())
    )
    for net in (generator, keypoints):
        fold(net)
    renderer = Renderer(generator, keypoints, small.filled(MappingNet()))
    face, options = small.face("rest"), Options(batch=2)

    def render() -> Any:
        made = list(renderer.frames(part, face, track, options))
        return made[0]

    return render


def upstream(given: argparse.Namespace, part: Any, track: Any) -> Callable[[], Any]:
    import sadtalker_small as small
    import torch
    from golden import yaml_of
    from upstream import make_ready

    make_ready(given.upstream, given.upstream)
    from sadtalker.rendering import windows
    from src.facerender.modules.generator import OcclusionAwareSPADEGenerator
    from src.facerender.modules.keypoint_detector import KPDetector
    from src.facerender.modules.make_animation import make_animation
    from src.facerender.modules.mapping import MappingNet

    settings = yaml_of("facerender")
    common = settings["common_params"]
    generator = OcclusionAwareSPADEGenerator(**settings["generator_params"], **common)
    keypoints = KPDetector(**settings["kp_detector_params"], **common)
    nets = [small.filled(net) for net in (generator, keypoints)]
    mapping = small.filled(MappingNet(**settings["mapping_params"]))
    pictures = torch.from_numpy(part).permute(2, 0, 1)[None].float().expand(2, -1, -1, -1) / 255
    rest = torch.from_numpy(small.face("rest")[None, :70, None]).expand(2, -1, 27)
    driven = torch.from_numpy(windows(track, 0, len(track))).unflatten(0, (2, -1))

    def render() -> Any:
        made = make_animation(pictures, rest, driven, *nets, None, mapping)
        return (made[0, 0].permute(1, 2, 0) * 255).round().byte().numpy()

    return render


if __name__ == "__main__":
    sys.exit(main())
