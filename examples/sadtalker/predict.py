"""A still portrait speaks: SadTalker's official weights, our own inference."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Where Metal has no kernel for an operation, the CPU does it.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

import picture
import sound
from cvl_inside import InputError, Predictor, run
from sadtalker import weights
from sadtalker.acting import Examples
from sadtalker.options import Options
from sadtalker.reading import NoFace
from sadtalker.talker import Talker, TooShort

REPO = "vinthony/SadTalker-V002rc"
DETECTOR, LANDMARKS = "detection_Resnet50_Final.pth", "alignment_WFLW_4HG.pth"
MAPPINGS = {False: "mapping_00229-model.pth.tar", True: "mapping_00109-model.pth.tar"}
NO_FACE = "use a picture with a larger face, or --preprocess resize if it is all face"
REPORT_EVERY = 5  # frames between two lines of progress


class SadTalker(Predictor):
    def predict(
        self, ctx: Any, *, audio: str, image: str, size: str, crf: int, ref_pose: str | None,
        ref_eyeblink: str | None, yaw: list[float] | None, pitch: list[float] | None,
        roll: list[float] | None, batch_size: int, **given: Any,
    ) -> dict[str, str]:  # fmt: skip
        options = Options(
            size=int(size), batch=batch_size, yaw=tuple(yaw or ()), pitch=tuple(pitch or ()),
            roll=tuple(roll or ()), **given,
        )  # fmt: skip
        source, wave = picture.load(image), sound.load(audio)
        talker = load(ctx, options)
        try:
            face = talker.face(source, options)
            examples = followed(talker, options, ref_eyeblink, ref_pose)
            track = talker.track(wave, face, options, examples, ctx.seed)
        except NoFace as error:
            raise InputError(f"{error}", NO_FACE, code="no_face") from error
        except TooShort as error:
            raise InputError(f"{error}", "use a longer recording", code="bad_audio") from error
        began, count = time.monotonic(), len(track)
        frames = reported(ctx, talker.frames(source, face, track, options), count)
        sound.write(frames, count, crf, audio, ctx.output("video"))
        ctx.metric("fps", round(count / (time.monotonic() - began), 3))
        return {"video": ctx.output("video")}


def load(ctx: Any, options: Options) -> Talker:
    """All nets, with the renderer and the mapping net that the options ask for."""
    folder = Path(ctx.weights[REPO])
    whole = str(folder / f"SadTalker_V0.0.2_{options.size}.safetensors")
    mapping = str(folder / MAPPINGS[options.pastes])
    detector, landmarks = ctx.weights[DETECTOR], ctx.weights[LANDMARKS]
    try:
        return Talker(
            weights.reader(whole, detector, landmarks, ctx.device),
            weights.actor(whole, ctx.device),
            weights.renderer(whole, mapping, ctx.device),
        )
    except weights.WrongWeights as error:
        raise InputError(f"{error}", "cvl models verify", code="bad_weights") from error


def followed(talker: Talker, options: Options, eyes: str | None, head: str | None) -> Examples:
    """What the faces of the videos do that the caller gave; one that is given twice is read
    once."""
    names = {eyes: "ref-eyeblink", head: "ref-pose"}
    read = {path: _seen(talker, options, path, name) for path, name in names.items() if path}
    return Examples(read.get(eyes), read.get(head))


def _seen(talker: Talker, options: Options, path: str, name: str) -> Any:
    try:
        return talker.example(picture.Video(path, name), options)
    except NoFace as error:
        raise InputError(f"{error} of --{name}: {path}", NO_FACE, code="no_face") from error


def reported(ctx: Any, frames: Iterator[Any], count: int) -> Iterator[Any]:
    for done, frame in enumerate(frames, 1):
        yield frame
        if done % REPORT_EVERY == 0 or done == count:
            ctx.progress(done, count, "frames")


if __name__ == "__main__":
    run(SadTalker)
