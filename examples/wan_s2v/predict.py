"""A picture speaks: Wan2.2-S2V-14B by diffsynth, for speech of any length."""

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import clips
from cvl_inside import InputError, Predictor, run
from cvl_inside.avatar import Speech, check_portrait, read_speech, write_track
from cvl_inside.diffusion import covering, open_picture, write_video
from pose import read_poses
from shape import Size, parse_area, size_for

REPO = "Wan-AI/Wan2.2-S2V-14B"
UNWANTED = (
    "画面模糊，最差质量，画面模糊，细节模糊不清，情绪激动剧烈，手快速抖动，字幕，丑陋的，残缺的，"
    "多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
"""What the authors of the model do not want to see."""
MOST_S = 1800.0
FOURTH = 4
"""Frames that become one latent."""
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


class WanS2V(Predictor):
    """The pipeline is loaded with the first speech, after that was looked at."""

    pipe: Any = None

    def predict(self, ctx: Any, *, audio: str, image: str, **options: Any) -> dict[str, str]:
        if options["infer_frames"] % FOURTH:
            raise InputError(f"--infer-frames is a multiple of {FOURTH}, as 80")
        area = parse_area(options["size"])
        speech = read_speech(audio, MOST_S)
        picture = open_picture(image)
        check_portrait(ctx, picture, face=options["face"] == "checked", whole=True)
        size = size_for(area, picture.width / picture.height)
        plan = clips.plan(
            speech.seconds, options["infer_frames"], options["num_clips"], options["start_from_ref"]
        )
        unwanted = options["negative_prompt"]
        with tempfile.TemporaryDirectory(dir=ctx.scratch) as folder:
            wish = clips.Wish(
                image=covering(picture, size.width, size.height),
                prompt=options["prompt"],
                negative_prompt=UNWANTED if unwanted is None else unwanted,
                steps=options["sample_steps"],
                guidance=options["guide_scale"],
                shift=options["shift"],
                seed=ctx.seed,
                tiling=options["tiling"],
                from_reference=options["start_from_ref"],
                pose=_poses(options["pose_video"], size, plan, folder),
            )
            self._load(ctx)
            return self._film(ctx, speech, plan, wish, Path(folder))

    def _load(self, ctx: Any) -> None:
        if self.pipe is not None:
            return
        import torch
        from parts import load
        from rungs import Rung

        began = time.monotonic()
        rung = Rung(ctx.offload, ctx.device, getattr(torch, DTYPES[ctx.dtype]))
        self.pipe = load(_repo(ctx), rung)
        ctx.metric("load_s", time.monotonic() - began, "s")

    def _film(
        self, ctx: Any, speech: Speech, plan: clips.Plan, wish: clips.Wish, folder: Path
    ) -> dict[str, str]:
        heard = self.pipe.listener.frames(speech.samples, plan.frames, clips.FPS, plan.lead)
        progress = Progress(ctx, plan.clips * wish.steps)
        film = clips.Film(self.pipe, plan, wish, heard, progress.steps)
        seconds = min(speech.seconds, plan.frames / clips.FPS)
        track = write_track(speech, seconds, str(folder / "track.wav"))
        began = time.monotonic()
        write_video(_frames(ctx, film), clips.FPS, ctx.output("video"), track)
        took = time.monotonic() - began
        ctx.metric("clips", plan.clips)
        ctx.metric("frames", plan.frames, "frames")
        ctx.metric("frames_per_s", plan.frames / took, "frames/s")
        ctx.metric("step_s", progress.seconds / (plan.clips * wish.steps), "s")
        return {"video": ctx.output("video")}


class Progress:
    """Of the steps of all clips together, and how long they took."""

    def __init__(self, ctx: Any, total: int) -> None:
        self._ctx, self._total, self._done = ctx, total, 0
        self.seconds = 0.0

    def steps(self, timesteps: Iterable[Any]) -> Iterator[Any]:
        """In the place of tqdm."""
        for timestep in timesteps:
            began = time.monotonic()
            yield timestep
            self.seconds += time.monotonic() - began
            self._done += 1
            self._ctx.progress(self._done, self._total, "steps")


def _frames(ctx: Any, film: clips.Film) -> Iterator[Any]:
    """One by one, each clip when it is done; its last frame is shown meanwhile."""
    from PIL import Image

    for clip in film.clips():
        ctx.preview(Image.fromarray(clip[-1]))
        yield from clip


def _poses(path: Any, size: Size, plan: clips.Plan, folder: str) -> Any:
    if path is None:
        return None
    return read_poses(path, size, clips.FPS, plan.frames, folder)


def _repo(ctx: Any) -> Path:
    """The folder with the weights: that of the run, or of the cache where this is run by itself."""
    if REPO in ctx.weights:
        return Path(ctx.weights[REPO])
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(REPO, local_files_only=True))


if __name__ == "__main__":
    run(WanS2V)
