"""Runs the example's predict.py in this process, on a small checkpoint and the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
EXAMPLE = HERE.parents[3] / "examples" / "wan_s2v"
REPOSITORY = HERE.parents[3]
PLACES = (EXAMPLE, HERE.parents[1], REPOSITORY / "cvl" / "inside", REPOSITORY / "tests" / "support")
sys.path[:0] = map(str, PLACES)

import clips  # noqa: E402
import predict  # noqa: E402
import sizes  # noqa: E402
import unused  # noqa: E402
import voice  # noqa: E402
from checkpoints import speaking, tensors  # noqa: E402
from checkpoints.families import build  # noqa: E402
from cvl_inside import InputError  # noqa: E402
from filming import Made, Told, made, picture, sound  # noqa: E402
from shape import Size, size_for  # noqa: E402

__all__ = [
    "PORTRAIT", "InputError", "Size", "Studio", "build", "clips", "picture", "predict", "size_for",
    "sizes", "sound", "speaking", "tensors", "unused", "voice",
]  # fmt: skip
PORTRAIT = EXAMPLE / "samples" / "portrait.jpg"
WISHES = {
    "prompt": "a person speaks", "negative_prompt": None, "pose_video": None, "size": "64*64",
    "sample_steps": 1, "infer_frames": 8, "num_clips": None, "guide_scale": 2.0, "shift": 3.0,
    "start_from_ref": False, "tiling": False, "face": "checked",
}  # fmt: skip


class Studio:
    """One predictor for each rung, which keeps what it loaded."""

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self.weights = {predict.REPO: str(checkpoint)}
        self.folder = folder
        self.predictors: dict[str, Any] = {}

    def __call__(self, audio: Path, offload: str = "none", seed: int = 1, **wishes: Any) -> Made:
        path = self.folder / "made.mp4"
        ctx = Told(self.weights, str(path), offload, seed)
        predictor = self.predictors.setdefault(offload, predict.WanS2V())
        given = {**WISHES, "image": str(PORTRAIT), **wishes}
        predictor.predict(ctx, audio=str(audio), **given)
        return made(path, ctx)
