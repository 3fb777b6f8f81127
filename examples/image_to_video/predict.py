"""Picture (and text) to video with any pipeline of diffusers."""

from cvl_inside import Predictor, run
from cvl_inside.diffusion import (
    Wish,
    class_from_image,
    load,
    load_gguf,
    make_video,
    open_picture,
    place,
    prepare,
    write_video,
)


class ImageToVideo(Predictor):
    def predict(
        self, ctx, *, model, variant, gguf, image, flow_shift, tiling, attention, compile, **wishes
    ):  # fmt: skip
        picture = open_picture(image)
        parts = {"transformer": load_gguf(ctx, model, gguf)} if gguf else {}
        pipe = load(ctx, model, kind=class_from_image(model), variant=variant or "", **parts)
        place(ctx, pipe)
        prepare(pipe, tiling=tiling, compiled=compile, attention=attention, flow_shift=flow_shift)
        made = make_video(ctx, pipe, Wish(image=picture, **wishes))
        write_video(made.frames, made.fps, ctx.output("video"), made.audio, made.rate)
        return {"video": ctx.output("video")}


if __name__ == "__main__":
    run(ImageToVideo)
