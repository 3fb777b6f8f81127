"""A portrait speaks what a recording says: LiveAvatar, for speech of any length."""

import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from cvl_inside import InputError, Predictor, run
from cvl_inside.avatar import check_portrait, read_speech, write_track
from cvl_inside.decoding import OutputError
from cvl_inside.diffusion import open_picture, write_video
from live_avatar.forcing import ForcedStudio
from live_avatar.pictures import filling, video_size
from live_avatar.studio import Files, Plan, Setting, Studio, plan_for
from live_avatar.timeline import BLOCK_FRAMES, FPS
from PIL import Image

BASE, LORA = "Wan-AI/Wan2.2-S2V-14B", "Quark-Vision/Live-Avatar"
LORA_FILE = "liveavatar.safetensors"
MOST_S = 7200.0
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


class LiveAvatar(Predictor):
    """The networks are loaded with the first speech, after that was looked at."""

    studio: Studio | ForcedStudio | None = None

    def predict(self, ctx: Any, *, audio: str, image: str, **options: Any) -> dict[str, str]:
        speech = read_speech(audio, MOST_S)
        picture = open_picture(image)
        check_portrait(ctx, picture, face=options["face"] == "checked", whole=True)
        portrait = sized(picture, options["size"])
        plan = planned(speech.seconds, options)
        if plan.seconds < speech.seconds - 1 / FPS:
            ctx.warning(
                f"{plan.seconds:.1f} s of {speech.seconds:.1f} s are shown, as --num-clips"
                f" {options['num_clips']} says"
            )
        if self.studio is None:
            self.studio = studio(ctx, plan, options)
        film = self.studio.film(portrait, options["prompt"], speech.samples, plan, ctx.seed)
        with tempfile.TemporaryDirectory(dir=ctx.scratch) as folder:
            track = write_track(speech, plan.seconds, str(Path(folder) / "track.wav"))
            try:
                write_video(told(ctx, film, plan), FPS, ctx.output("video"), track)
            except FloatingPointError as error:
                raise OutputError(f"{error}: another --dtype may help") from None
        return {"video": ctx.output("video")}


def sized(picture: Image.Image, size: str) -> Image.Image:
    """The middle of the picture, of as many pixels as `704*384` has."""
    width, height = map(int, re.split(r"[*xX]", size))
    return filling(picture, *video_size(picture.width, picture.height, width * height))


def planned(seconds: float, options: Mapping[str, Any]) -> Plan:
    """Raises InputError where a clip is not made of whole blocks."""
    if options["infer_frames"] % BLOCK_FRAMES:
        raise InputError(
            f"--infer-frames is a multiple of {BLOCK_FRAMES}", "48 is what was trained"
        )
    return plan_for(seconds, options["infer_frames"], options["num_clips"], options["sample_steps"])


def files(ctx: Any) -> Files:
    """Those of the run, or of the cache where this is run by itself."""
    from huggingface_hub import snapshot_download

    base, lora = (
        Path(ctx.weights.get(repo) or snapshot_download(repo, local_files_only=True))
        for repo in (BASE, LORA)
    )
    return Files(base, lora / LORA_FILE if lora.is_dir() else lora)


def setting(ctx: Any, options: Mapping[str, Any]) -> Setting:
    """Of the rung: none, model, fp8, group. Raises InputError for what does not go together."""
    streamed = ctx.offload == "group"
    if options["graphs"] and ctx.device != "cuda":
        raise InputError("--graphs needs an NVIDIA GPU", "leave it out")
    if streamed and (options["graphs"] or options["compile"]):
        raise InputError(
            "--offload group moves weights, and neither --graphs nor --compile allows that",
            "leave them out, or choose another rung",
        )
    return Setting(
        device=ctx.device,
        dtype=DTYPES[ctx.dtype],
        keep=ctx.offload == "none",
        streamed=streamed,
        float8=ctx.offload == "fp8",
        compiled=options["compile"],
        graphs=options["graphs"],
    )


def studio(ctx: Any, plan: Plan, options: Mapping[str, Any]) -> Studio | ForcedStudio:
    """On one GPU, or on one for each step and one more. Raises InputError."""
    wanted = setting(ctx, options)
    if not options["forcing"]:
        return Studio(files(ctx), wanted)
    devices = forced_devices(ctx, plan.steps, options)
    return ForcedStudio(files(ctx), wanted, devices)


def forced_devices(ctx: Any, steps: int, options: Mapping[str, Any]) -> list[str]:
    """Raises InputError where there are too few, or what was asked for does not go together."""
    if ctx.offload == "group" or options["graphs"]:
        raise InputError(
            "--forcing goes together with neither --offload group nor --graphs",
            "give --offload none, or fp8 where GPUs have less than 51 GB; leave --graphs out",
        )
    here = torch.cuda.device_count() if ctx.device == "cuda" else 0
    if here <= steps:
        raise InputError(
            f"--forcing takes {steps + 1} GPUs, one for each step and one to decode; {here} given",
            f"give --gpus {steps + 1}, or leave --forcing out",
        )
    return [f"cuda:{number}" for number in range(steps + 1)]


def told(ctx: Any, film: Iterable[Any], plan: Plan) -> Iterator[Any]:
    """Frame by frame, with progress, a look at each clip, and how quick it was."""
    began = time.monotonic()
    first = shown = 0.0
    for number, frames in enumerate(film, 1):
        first = first or time.monotonic()
        shown += len(frames)
        ctx.progress(number, plan.blocks, "blocks")
        if number % plan.clip_blocks == 1:
            ctx.preview(Image.fromarray(frames[-1]))
        yield from frames
    took = time.monotonic() - first
    ctx.metric("first_frames_s", first - began, "s")
    ctx.metric("frames", shown, "frames")
    if plan.blocks > 1 and took > 0:
        ctx.metric("frames_per_s", (shown - BLOCK_FRAMES) / took, "frames/s")


if __name__ == "__main__":
    run(LiveAvatar)
