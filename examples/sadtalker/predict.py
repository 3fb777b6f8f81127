"""A still portrait speaks: SadTalker's official weights, our own inference."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Where Metal has no kernel for an operation, the CPU does it.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

import numpy as np
from cvl_inside import InputError, Predictor, run
from cvl_inside.avatar import check_portrait, read_speech, write_track
from cvl_inside.diffusion import open_picture, write_video
from films import Film
from PIL import Image
from sadtalker import weights
from sadtalker.acting import Examples
from sadtalker.options import Options
from sadtalker.reading import NoFace
from sadtalker.talker import Talker
from sadtalker.voice import FPS

REPO = "vinthony/SadTalker-V002rc"
DETECTOR, LANDMARKS = "detection_Resnet50_Final.pth", "alignment_WFLW_4HG.pth"
RESTORER, PARSER = "GFPGANv1.4.pth", "parsing_parsenet.pth"
ENLARGER = "RealESRGAN_x2plus.pth"
MAPPINGS = {False: "mapping_00229-model.pth.tar", True: "mapping_00109-model.pth.tar"}
MOST_S = 7200.0
NO_FACE = "use a picture with a larger face, or --preprocess resize if it is all face"
REPORT_EVERY = 5  # frames between two lines of progress


class SadTalker(Predictor):
    """The nets are loaded with the first speech, after that was looked at."""

    talker: Talker | None = None
    loaded: tuple[int, bool, tuple[str, ...]] = (0, False, ())
    """Pixels, whether frames are pasted back, and the files of what draws anew: what decides which
    nets there are."""

    def predict(
        self, ctx: Any, *, audio: str, image: str, face: str, enhancer: str,
        background_enhancer: str, ref_pose: str | None, ref_eyeblink: str | None, **given: Any,
    ) -> dict[str, str]:  # fmt: skip
        options, drawing = chosen(given), drawing_anew(ctx, enhancer, background_enhancer)
        speech = read_speech(audio, MOST_S)
        source = portrait(ctx, image, face == "checked" and options.preprocess != "resize")
        talker = self.talker_for(ctx, options, drawing)
        try:
            found = talker.face(source, options)
        except NoFace as error:
            raise InputError(f"{error}", NO_FACE, "no_face") from error
        examples = followed(talker, options, ref_eyeblink, ref_pose)
        track = talker.track(speech.samples, found, options, examples, ctx.seed)
        frames = told(ctx, talker.frames(source, found, track, options), len(track))
        with tempfile.TemporaryDirectory(dir=ctx.scratch) as folder:
            sound = write_track(speech, len(track) / FPS, str(Path(folder) / "track.wav"))
            write_video(frames, FPS, ctx.output("video"), sound)
        return {"video": ctx.output("video")}

    def talker_for(self, ctx: Any, options: Options, drawing: tuple[str, ...]) -> Talker:
        wanted = options.size, options.pastes, drawing
        if self.talker is None or self.loaded != wanted:
            self.talker = None  # before others are loaded
            self.talker, self.loaded = load(ctx, options, drawing), wanted
        return self.talker


def chosen(given: dict[str, Any]) -> Options:
    """Of the inputs that are neither sound nor pictures."""
    turns = {name: tuple(given[name] or ()) for name in ("yaw", "pitch", "roll")}
    size, batch = int(given["size"]), given["batch_size"]
    same = ("preprocess", "still", "pose_style", "expression_scale")
    return Options(size=size, batch=batch, **turns, **{name: given[name] for name in same})


def drawing_anew(ctx: Any, enhancer: str, background: str) -> tuple[str, ...]:
    """The files that are needed for it. Raises InputError."""
    if background == "none":
        return (RESTORER, PARSER) if enhancer == "gfpgan" else ()
    if enhancer == "none":
        raise InputError(
            f"--background-enhancer {background} enhances what is round faces that are drawn anew",
            "add --enhancer gfpgan",
            "no_enhancer",
        )
    if ctx.device == "cpu":
        ctx.warning("Real-ESRGAN is slow on a CPU: it takes many seconds for each frame")
    return RESTORER, PARSER, ENLARGER


def portrait(ctx: Any, path: str, checked: bool) -> np.ndarray:
    """(H, W, 3) red-green-blue bytes. Raises InputError."""
    picture = open_picture(path)
    check_portrait(ctx, picture, face=checked, whole=False)
    return np.array(picture)


def load(ctx: Any, options: Options, drawing: tuple[str, ...]) -> Talker:
    """All nets, with the renderer and the mapping net that the options ask for."""
    missing = [name for name in (REPO, DETECTOR, LANDMARKS, *drawing) if name not in ctx.weights]
    if missing:
        raise InputError(f"{', '.join(missing)}: not given", "run it by cvl, which brings weights")
    folder = Path(ctx.weights[REPO])
    whole = str(folder / f"SadTalker_V0.0.2_{options.size}.safetensors")
    mapping = str(folder / MAPPINGS[options.pastes])
    detector, landmarks = ctx.weights[DETECTOR], ctx.weights[LANDMARKS]
    files = [ctx.weights[name] for name in drawing]
    try:
        reader = weights.reader(whole, detector, landmarks, ctx.device)
        return Talker(
            reader,
            weights.actor(whole, ctx.device),
            weights.renderer(whole, mapping, ctx.device),
            weights.enhancer(reader.detector, ctx.device, *files) if files else None,
        )
    except weights.WrongWeights as error:
        raise InputError(f"{error}", "cvl models verify", "bad_weights") from error


def followed(talker: Talker, options: Options, eyes: str | None, head: str | None) -> Examples:
    """What the faces of the videos do that the caller gave; one that is given twice is read
    once."""
    names = {eyes: "ref-eyeblink", head: "ref-pose"}
    read = {path: _seen(talker, options, path, name) for path, name in names.items() if path}
    return Examples(read.get(eyes), read.get(head))


def _seen(talker: Talker, options: Options, path: str, name: str) -> Any:
    try:
        return talker.example(Film(path, name), options)
    except NoFace as error:
        raise InputError(f"--{name}: {error}", NO_FACE, "no_face") from error


def told(ctx: Any, frames: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Frame by frame, with progress, a look at the first one, and how quick it was."""
    began = time.monotonic()
    for done, frame in enumerate(frames, 1):
        if done == 1:
            ctx.preview(Image.fromarray(frame))
        yield frame
        if done % REPORT_EVERY == 0 or done == count:
            ctx.progress(done, count, "frames")
    ctx.metric("frames", count, "frames")
    ctx.metric("frames_per_s", count / (time.monotonic() - began), "frames/s")


if __name__ == "__main__":
    run(SadTalker)
