"""Text to video with any pipeline of diffusers."""

from cvl_inside import InputError, Predictor, run
from cvl_inside.diffusion import (
    Wish,
    class_of,
    load,
    load_gguf,
    load_part,
    make_video,
    place,
    prepare,
    starts_from_image,
    write_video,
)
from second import refine

PICTURES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")


class TextToVideo(Predictor):
    def predict(
        self, ctx, *, model, variant, gguf, motion_adapter, refiner, refine_size, refine_strength,
        flow_shift, tiling, attention, compile, **wishes,
    ):  # fmt: skip
        if not wishes["prompt"].strip():
            raise InputError("the prompt is empty", "say what the video shows: --prompt")
        parts = chosen(ctx, model, motion_adapter)
        if gguf:
            parts["transformer"] = load_gguf(ctx, model, gguf)
        pipe = load(ctx, model, variant=variant or "", **parts)
        place(ctx, pipe)
        prepare(pipe, tiling=tiling, compiled=compile, attention=attention, flow_shift=flow_shift)
        wish = Wish(**wishes)
        made = make_video(ctx, pipe, wish)
        if refiner:
            del pipe
            made = refine(ctx, made, wish, refiner, refine_size, refine_strength)
        write_video(made.frames, made.fps, ctx.output("video"), made.audio, made.rate)
        return {"video": ctx.output("video")}


def chosen(ctx, model, motion_adapter):
    """A pipeline for pictures becomes one for videos with a motion adapter."""
    if motion_adapter:
        adapter = load_part(ctx, "MotionAdapter", motion_adapter)
        return {"kind": "AnimateDiffPipeline", "motion_adapter": adapter}
    name = class_of(model)
    if name in PICTURES:
        raise InputError(
            f"{model} makes pictures ({name})",
            "with --motion-adapter guoyww/animatediff-motion-adapter-v1-5-2 it makes videos",
        )
    if starts_from_image(name):
        raise InputError(
            f"{model} starts from a picture ({name})",
            "the example image_to_video runs it, or choose a model that starts from text",
        )
    return {}


if __name__ == "__main__":
    run(TextToVideo)
