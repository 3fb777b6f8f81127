"""Runs the example's predict.py in this process, on a small checkpoint and the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
REPOSITORY = HERE.parents[3]
EXAMPLE = REPOSITORY / "examples" / "hallo2"
PLACES = (EXAMPLE, HERE.parents[1], REPOSITORY / "cvl" / "inside", REPOSITORY / "tests" / "support")
sys.path[:0] = map(str, PLACES)

import predict  # noqa: E402
from checkpoints.families import build  # noqa: E402
from cvl_inside import InputError  # noqa: E402
from cvl_inside.decoding import OutputError  # noqa: E402
from filming import Made, Told, made, picture, sound  # noqa: E402

__all__ = [
    "PORTRAIT", "InputError", "OutputError", "Studio", "build", "picture", "predict", "sound",
]  # fmt: skip
PORTRAIT = EXAMPLE / "samples" / "portrait.jpg"
# Smaller than a user may ask for: no choice of the manifest is checked here.
WISHES = {
    "size": "64", "steps": 1, "cfg_scale": 3.5, "pose_weight": 1.0, "face_weight": 1.0,
    "lip_weight": 1.0, "face_expand_ratio": 1.2, "separate_vocals": False, "halved": False,
    "vae_tiling": False, "crf": 17, "face": "any", "super_resolution": "none", "upscale": 1,
    "fidelity_weight": 0.5, "bg_upsampler": "none", "face_upsample": False,
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
        predictor = self.predictors.setdefault(offload, predict.Hallo2())
        given = {**WISHES, "image": str(PORTRAIT), **wishes}
        predictor.predict(ctx, audio=str(audio), **given)
        return made(path, ctx)
