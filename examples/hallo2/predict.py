"""A portrait speaks what a recording says: Hallo2, for speech of any length."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from cvl_inside import InputError, Predictor, run
from cvl_inside.avatar import Speech, check_portrait, read_speech, write_track
from cvl_inside.decoding import OutputError
from cvl_inside.diffusion import open_picture, write_video
from hallo2.faces import Face, FaceReader
from hallo2.generation import Studio
from hallo2.hearing import FPS, Heard, Listener
from hallo2.loading import CheckpointError, Paths, load
from hallo2.portrait import Portrait, prepared, square
from hallo2.sizes import CLIP_FRAMES
from PIL import Image
from sharper import sharper, wished
from voice import voice_of

REPO = "fudan-generative-ai/hallo2"
HEARING = Path("wav2vec") / "wav2vec2-base-960h"
SEPARATOR = Path("audio_separator") / "Kim_Vocal_2.onnx"
MOST_S = 7200.0
USUAL_FACE = 0.35
"""Of the picture's height; the model was made for 0.5 to 0.7."""
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Setting:
    """What the networks are loaded with."""

    device: str
    dtype: torch.dtype
    offload: str
    halved: bool
    vae_tiling: bool


class Hallo2(Predictor):
    """The networks are loaded with the first speech, after that was looked at."""

    studio: Optional[Studio] = None
    setting: Optional[Setting] = None

    def predict(self, ctx: Any, *, audio: str, image: str, **options: Any) -> dict[str, str]:
        wish = wished(ctx, options)
        speech = read_speech(audio, MOST_S)
        picture = open_picture(image)
        check_portrait(ctx, picture, face=options["face"] == "checked", whole=False)
        repo = folder(ctx)
        portrait = sitting(ctx, repo, picture, int(options["size"]), options["face_expand_ratio"])
        heard = listened(ctx, repo, speech, options["separate_vocals"])
        self._load(ctx, repo, options)
        with tempfile.TemporaryDirectory(dir=ctx.scratch) as scratch:
            track = write_track(speech, speech.seconds, str(Path(scratch) / "track.wav"))
            film = self._film(ctx, portrait, heard, options)
            if wish is not None:
                film = sharper(ctx, repo, film, wish, options["bg_upsampler"] != "none")
            try:
                write_video(film, FPS, ctx.output("video"), track, crf=options["crf"])
            except FloatingPointError as error:
                raise OutputError(f"{error}: another --dtype may help") from None
        return {"video": ctx.output("video")}

    def _load(self, ctx: Any, repo: Path, options: Mapping[str, Any]) -> None:
        """Again only where something else is asked for."""
        setting = Setting(
            ctx.device, DTYPES[ctx.dtype], ctx.offload, options["halved"], options["vae_tiling"]
        )
        if setting == self.setting:
            return
        began, self.studio = time.monotonic(), None
        try:
            self.studio = load(Paths.of(repo), **vars(setting))
        except CheckpointError as error:
            raise InputError(str(error), "cvl models verify", code="bad_weights") from None
        self.setting = setting
        ctx.metric("load_s", time.monotonic() - began, "s")

    def _film(
        self, ctx: Any, portrait: Portrait, heard: Heard, options: Mapping[str, Any]
    ) -> Iterator[np.ndarray]:
        """Frame by frame until the speech ends, with progress, and a look at each clip."""
        assert self.studio is not None
        weights = tuple(options[f"{part}_weight"] for part in ("pose", "face", "lip"))
        clips = self.studio.frames(
            portrait.pixels, portrait.embedding, portrait.regions, heard,
            steps=options["steps"], cfg_scale=options["cfg_scale"], motion_scales=weights,
            seed=ctx.seed,
        )  # fmt: skip
        began, made, total = time.monotonic(), 0, len(heard) // CLIP_FRAMES
        for number, frames in enumerate(clips, 1):
            shown = frames.numpy()[: heard.spoken - made]
            made += len(shown)
            ctx.progress(number, total, "clips")
            ctx.preview(Image.fromarray(shown[-1]))
            yield from shown
        ctx.metric("frames", made, "frames")
        ctx.metric("frame_s", (time.monotonic() - began) / made, "s")


def sitting(ctx: Any, repo: Path, picture: Image.Image, side: int, expand: float) -> Portrait:
    """The middle of the picture about its largest face. Raises InputError where there is none."""
    face = FaceReader(repo).largest(np.asarray(picture))
    if face is None:
        raise InputError(
            "the model's own detector finds no face in the image",
            "use a picture of somebody who looks at the camera, whose face fills half of it",
            "no_face",
        )
    frame = square(picture.width, picture.height, face.box)
    there = moved(face, frame)
    share = float(face.box[3] - face.box[1]) / (frame[3] - frame[1])
    if share < USUAL_FACE:
        ctx.warning(
            f"the face takes {share:.0%} of the picture's height, and the model was made for 50 to"
            " 70 %: crop the image closer"
        )
    return prepared(picture.crop(frame), there, side, expand)


def moved(face: Face, frame: tuple[int, int, int, int]) -> Face:
    """In pixels of the frame, no part of it outside."""
    low, size = np.tile(frame[:2], 2), np.tile([frame[2] - frame[0], frame[3] - frame[1]], 2)
    return replace(
        face, box=np.clip(face.box - low, 0, size), lips=np.clip(face.lips - low, 0, size)
    )


def listened(ctx: Any, repo: Path, speech: Speech, alone: bool) -> Heard:
    """alone: the voice without what plays beside it."""
    samples = speech.samples
    if alone:
        began = time.monotonic()
        samples = voice_of(speech, repo / SEPARATOR, ctx.scratch)
        ctx.metric("separation_s", time.monotonic() - began, "s")
    return Listener(repo / HEARING, ctx.device).heard(samples, CLIP_FRAMES)


def folder(ctx: Any) -> Path:
    """Of the run, or of the cache where this is run by itself."""
    if REPO in ctx.weights:
        return Path(ctx.weights[REPO])
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(REPO, local_files_only=True))


if __name__ == "__main__":
    run(Hallo2)
