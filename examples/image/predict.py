"""A picture from text with any text-to-image pipeline of diffusers."""

from cvl_inside import InputError, Predictor, run
from cvl_inside.diffusion import load, make_image, place, prepare

PORTRAIT = (
    "portrait photo of {}, one person, face from the front, looking into the camera, mouth closed,"
    " head and shoulders, plain background, soft light"
)
NOT_PORTRAIT = "profile, several people, open mouth, teeth, hands, sunglasses, text, cropped head"
PORTRAIT_SIZE = "1024x1024"


class Picture(Predictor):
    def predict(
        self, ctx, *, model, variant, refiner, refine_from, safety, tiling, attention, compile,
        preset, **wishes,
    ):  # fmt: skip
        if not wishes["prompt"].strip():
            raise InputError("the prompt is empty", "say what the picture shows: --prompt")
        if preset == "portrait":
            as_portrait(wishes)
        more = {} if safety else {"safety_checker": None}
        pipe = load(ctx, model, kind="AutoPipelineForText2Image", variant=variant, **more)
        second = None
        if refiner:
            second = load(ctx, refiner, kind="StableDiffusionXLImg2ImgPipeline", variant=variant)
        for each in filter(None, (pipe, second)):
            place(ctx, each)
            prepare(each, tiling=tiling, compiled=compile, attention=attention)
        image = make_image(ctx, pipe, wishes, second, refine_from)
        image.save(ctx.output("image"))
        return {"image": ctx.output("image")}


def as_portrait(wishes):
    """Words that make a face which the avatar examples can use."""
    wishes["prompt"] = PORTRAIT.format(wishes["prompt"])
    wishes["negative_prompt"] = ", ".join(filter(None, (wishes["negative_prompt"], NOT_PORTRAIT)))
    wishes["size"] = wishes["size"] or PORTRAIT_SIZE


if __name__ == "__main__":
    run(Picture)
