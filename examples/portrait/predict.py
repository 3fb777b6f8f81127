"""A portrait that speaks: one picture and one recording in, a video out, on the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import encode
import picture
from cvl_inside import Predictor, run
from eyes import Eyes
from faces import Finder
from mouth import Mouth
from sway import Sway
from voice import Shape, listen

SMALL_MOUTH = 24  # pixels across; in a smaller one the motion is hard to see
REPORT_EVERY = 5  # frames between two lines of progress


class Portrait(Predictor):
    """Warps the picture: lips and jaw follow the speech, eyes blink, the head sways."""

    def setup(self, ctx: Any) -> None:
        self.finder = Finder()

    def predict(self, ctx: Any, *, audio: str, image: str, **options: Any) -> dict[str, str]:
        source = picture.load(image)
        face = self.finder.find(source, options["face"].strip(), ctx.warning)
        shapes = listen(audio, options["fps"])
        if not any(shape.open for shape in shapes):
            ctx.warning("The audio is silent; the mouth will not move.")
        frame, scale = picture.fit(source, options["size"])
        if face.mouth_width * scale < SMALL_MOUTH:
            ctx.warning(
                "The face is small in the video. Crop the image round it, or use a larger --size."
            )
        began, path = time.monotonic(), ctx.output("video")
        frames = _frames(ctx, frame, face.moved(scale), shapes, options)
        size = (frame.shape[1], frame.shape[0])
        encode.write(frames, size, options["fps"], options["crf"], audio, path)
        ctx.metric("fps", round(len(shapes) / (time.monotonic() - began), 1))
        return {"video": path}


def _frames(
    ctx: Any, frame: picture.Image, face: Any, shapes: list[Shape], options: dict[str, Any]
) -> Iterator[picture.Image]:
    fps, total = options["fps"], len(shapes)
    mouth = Mouth(frame, face, options["mouth"])
    eyes = Eyes(frame, face, total, fps, options["blink"], ctx.seed)
    sway = Sway(frame, face, fps, options["sway"], ctx.seed)
    for index, shape in enumerate(shapes):
        drawn = eyes.draw(mouth.draw(shape), index)
        yield sway.draw(drawn, index, shape.open)
        if (index + 1) % REPORT_EVERY == 0 or index + 1 == total:
            ctx.progress(index + 1, total, "frames")


if __name__ == "__main__":
    run(Portrait)
