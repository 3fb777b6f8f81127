"""A picture becomes a short video with Stable Video Diffusion."""

from cvl_inside import Predictor, run
from cvl_inside.diffusion import Wish, load, make_video, open_picture, place, write_video

LITTLE = 2
"""Frames decoded at once where memory is short."""


class StableVideoDiffusion(Predictor):
    def predict(self, ctx, *, model, image, variant, size, frames, fps, steps, guidance, **options):
        picture = open_picture(image)
        pipe = load(ctx, model, kind="StableVideoDiffusionPipeline", variant=variant)
        place(ctx, pipe)
        if ctx.offload == "chunked":
            options["decode_chunk_size"] = options["decode_chunk_size"] or LITTLE
        options = {name: value for name, value in options.items() if value is not None}
        wish = Wish(
            image=picture, size=size, frames=frames, fps=fps, steps=steps, guidance=guidance,
            options=options,
        )  # fmt: skip
        made = make_video(ctx, pipe, wish)
        write_video(made.frames, made.fps, ctx.output("video"))
        return {"video": ctx.output("video")}


if __name__ == "__main__":
    run(StableVideoDiffusion)
