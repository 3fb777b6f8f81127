"""One picture from a text-to-image pipeline, ended by a refiner or not."""

from typing import Any, Mapping, Optional

from ..decoding import OutputError
from ..predictor import Context
from .calling import arguments, called, generator
from .sizes import Shape, legal_shape, parse_size
from .steps import watch


def make_image(
    ctx: Context, pipe: Any, wishes: Mapping[str, Any], refiner: Any, refine_from: float
) -> Any:
    """Pillow image. wishes: prompt, negative_prompt, size, steps, guidance and options. refiner: a
    pipeline that goes on from `refine_from` of the steps, or None. Raises InputError,
    OutputError."""
    width, height = parse_size(wishes["size"])
    shape = legal_shape(ctx, pipe, Shape(width, height))
    given = {
        "prompt": wishes["prompt"],
        "negative_prompt": wishes["negative_prompt"],
        "num_inference_steps": wishes["steps"],
        "guidance_scale": wishes["guidance"],
    }
    random, options = generator(ctx), wishes["options"]
    sized = {**given, "width": shape.width, "height": shape.height}
    if refiner is None:
        return _picture(_call(ctx, pipe, sized, options, random))
    first = {**sized, "denoising_end": refine_from}
    latents = _call(ctx, pipe, first, options, random, "latent")
    last = {**given, "denoising_start": refine_from, "image": latents}
    return _picture(_call(ctx, refiner, last, {}, random))


def _call(
    ctx: Context,
    pipe: Any,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    random: Any,
    kind: str = "np",
) -> Any:
    watched = watch(ctx, pipe)
    call = {**arguments(pipe, given, options), **watched.hooks(pipe)}
    images = called(pipe, call, random, kind).images
    if watched.step_s:
        ctx.metric("step_s", watched.step_s, "s")
    return images


def _picture(images: Optional[Any]) -> Any:
    import numpy as np
    from PIL import Image

    if images is None or not np.isfinite(images[0]).all():
        raise OutputError("the pipeline gave a picture that is no numbers (NaN): another --dtype")
    return Image.fromarray(np.round(images[0].clip(0, 1) * 255).astype(np.uint8))
