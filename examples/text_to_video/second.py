"""A second pass over a video: larger, and made again from it."""

from dataclasses import replace

from cvl_inside.diffusion import (
    covering,
    finite_frames,
    generator,
    load,
    parse_size,
    place,
    prepare,
)
from PIL import Image

TWICE = 2


def refine(ctx, made, wish, repo, size, strength):
    """`made` by the video-to-video pipeline of another repo, of the size given or twice its own."""
    pipe = load(ctx, repo, kind="VideoToVideoSDPipeline")
    place(ctx, pipe)
    prepare(pipe, tiling=True)
    _, rows, columns, _ = made.frames.shape
    width, height = parse_size(size)
    width, height = width or columns * TWICE, height or rows * TWICE
    video = [covering(Image.fromarray(frame), width, height) for frame in made.frames]
    more = {} if wish.steps is None else {"num_inference_steps": wish.steps}
    result = pipe(
        prompt=wish.prompt,
        negative_prompt=wish.negative_prompt,
        video=video,
        strength=strength,
        generator=generator(ctx),
        output_type="np",
        **more,
    )
    return replace(made, frames=finite_frames(result.frames))
