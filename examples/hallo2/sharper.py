"""Super-resolution, where it is asked for: its options, its networks, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cvl_inside import InputError
from cvl_inside.faces import weights
from hallo2.loading import CheckpointError, load_restorer
from hallo2.offload import Places
from hallo2.super_resolution import MARGIN, Sharp, SuperResolution, Wish

RESTORER = Path("hallo2") / "net_g.pth"
DETECTOR = Path("facelib") / "detection_Resnet50_Final.pth"
PARSER = Path("facelib") / "parsing_parsenet.pth"
ENLARGER = Path("realesrgan") / "RealESRGAN_x2plus.pth"


def wished(ctx: Any, options: Mapping[str, Any]) -> Wish | None:
    """None where it is not asked for. Raises InputError."""
    sharp, enlarging = options["super_resolution"] != "none", options["bg_upsampler"] != "none"
    if enlarging and not sharp:
        raise InputError(
            f"--bg-upsampler {options['bg_upsampler']} enlarges what is round faces that are"
            " restored",
            "add --super-resolution codeformer",
            "no_super_resolution",
        )
    if options["face_upsample"] and not enlarging:
        raise InputError(
            "--face-upsample enlarges faces with what enlarges the background",
            "add --super-resolution codeformer --bg-upsampler realesrgan",
            "no_bg_upsampler",
        )
    if sharp and ctx.device == "cpu":
        ctx.warning("super-resolution is slow on a CPU: it takes many seconds for each frame")
    given = options["fidelity_weight"], options["upscale"], options["face_upsample"]
    return Wish(*given) if sharp else None


def super_resolution(repo: Path, device: str, enlarging: bool) -> SuperResolution:
    """Of the folder of the checkpoint. Whatever the rung, its networks are on the device only while
    they compute, so that they need no room beside the others. Raises InputError."""
    try:
        return SuperResolution(
            weights.detector(str(repo / DETECTOR), "cpu"),
            load_restorer(repo / RESTORER, "cpu", torch.float32),
            weights.parser(str(repo / PARSER), "cpu"),
            weights.background(str(repo / ENLARGER), device, waiting=True, margin=MARGIN)
            if enlarging
            else None,
            Places(device, "model"),
        )
    except (CheckpointError, weights.WrongWeights, OSError) as error:
        raise InputError(str(error), "cvl models verify", code="bad_weights") from None


def sharper(
    ctx: Any, repo: Path, film: Iterable[np.ndarray], wish: Wish, enlarging: bool
) -> Iterator[np.ndarray]:
    """The film, larger and with its face restored; how long that took, and how many frames have no
    face, is told at its end."""
    began = time.monotonic()
    networks = super_resolution(repo, ctx.device, enlarging)
    ctx.metric("super_resolution_load_s", time.monotonic() - began, "s")
    return _told(ctx, networks.frames(film, wish))


def _told(ctx: Any, film: Iterator[Sharp]) -> Iterator[np.ndarray]:
    count = restored = 0
    for sharp in film:
        count, restored = count + 1, restored + sharp.restored
        yield sharp.pixels
    ctx.metric("restored", restored, "frames")
    if restored < count:
        ctx.warning(f"{count - restored} of {count} frames show no face: these are only enlarged")
