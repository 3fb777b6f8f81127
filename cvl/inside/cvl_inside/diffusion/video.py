"""One video from a pipeline: the wishes of a person in, uint8 frames out."""

import inspect
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional

from ..predictor import Context, InputError
from .calling import arguments, called, generator, options_of
from .families import Family, family_of_pipeline
from .frames import finite_frames
from .pictures import covering, default_size, sized_like
from .sizes import Shape, legal_shape, parse_size
from .steps import watch

DECODING = {"decode_timestep": 0.05, "decode_noise_scale": 0.025}


@dataclass(frozen=True)
class Wish:
    """What a person asks for; None leaves it to the model. duration: seconds; size: `832x480`;
    options: of the pipeline's call, by its names; image: a Pillow image to begin with."""

    prompt: Optional[str] = None
    negative_prompt: Optional[str] = None
    duration: Optional[float] = None
    frames: Optional[int] = None
    fps: Optional[float] = None
    size: Optional[str] = None
    steps: Optional[int] = None
    guidance: Optional[float] = None
    image: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """frames: uint8 [frames, rows, columns, 3]; audio: floats [channels, samples] at `rate`, or
    None."""

    frames: Any
    fps: float
    audio: Any = None
    rate: int = 0


def make_video(ctx: Context, pipe: Any, wish: Wish) -> Made:
    """Raises InputError for what this pipeline cannot do, OutputError when it gave no pictures."""
    family = family_of_pipeline(pipe)
    fps = wish.fps or family.fps
    count = wish.frames or (round(wish.duration * fps) or 1 if wish.duration else None)
    if count is not None and count > family.most_frames:
        _check_length(pipe, family, count, fps)
    shape = _shape(ctx, pipe, replace(wish, frames=count), family)
    warn_of_length(ctx, pipe, wish)
    began = time.monotonic()
    random = generator(ctx)
    made = _part(ctx, pipe, wish, shape, fps, random)
    if count is not None and len(made.frames) < count and count > family.most_frames:
        made = _go_on(ctx, pipe, wish, shape, made, count, random)
    seconds = time.monotonic() - began
    ctx.metric("frames", len(made.frames), "frames")
    ctx.metric("frames_per_s", len(made.frames) / seconds, "frames/s")
    return made


def _check_length(pipe: Any, family: Family, count: int, fps: float) -> None:
    if family.sound or not family.from_image:
        most = family.most_frames
        raise InputError(
            f"{count} frames are more than the {most} ({most / fps:.1f} s) that"
            f" {type(pipe).__name__} makes well, and it cannot go on from its last frame",
            "ask for fewer, or choose a model that goes on: LTX-Video, Wan2.2-TI2V-5B",
        )


def _shape(ctx: Context, pipe: Any, wish: Wish, family: Family) -> Shape:
    """Of the first part; of the picture's proportions when a picture is all that is known. Nothing
    of a pipeline that takes its size from the picture itself."""
    width, height = parse_size(wish.size)
    if width is None and wish.image is not None and "width" in options_of(pipe):
        width, height = sized_like(wish.image, default_size(pipe))
        exact = legal_shape(None, pipe, Shape(width, height))
        width, height = exact.width, exact.height
    frames = wish.frames
    if frames is not None:
        frames = max(family.least_frames, min(frames, family.most_frames))
    return legal_shape(ctx, pipe, Shape(width, height, frames))


def _part(ctx: Context, pipe: Any, wish: Wish, shape: Shape, fps: float, random: Any) -> Made:
    """What one call makes."""
    accepted = options_of(pipe)
    watched = watch(ctx, pipe)
    given: Dict[str, Any] = {
        "prompt": wish.prompt,
        "negative_prompt": wish.negative_prompt,
        "num_frames": shape.frames,
        "num_inference_steps": wish.steps,
        "guidance_scale": wish.guidance,
        "width": shape.width,
        "height": shape.height,
    }
    if wish.image is not None:
        fits = shape.width is not None and shape.height is not None
        given["image"] = covering(wish.image, shape.width, shape.height) if fits else wish.image
    for name in ("frame_rate", "fps"):
        if name in accepted:
            given[name] = int(fps) if name == "fps" else fps
    call = arguments(pipe, {**given, **_decoding(pipe, accepted)}, wish.options)
    result = called(pipe, {**call, **watched.hooks(pipe)}, random)
    if watched.step_s:
        ctx.metric("step_s", watched.step_s, "s")
    return Made(finite_frames(result.frames), fps, *_sound(pipe, result))


def _decoding(pipe: Any, accepted: List[str]) -> Dict[str, float]:
    """A decoder that removes noise itself (LTX from 0.9.1 on) wants to be told how much there is;
    the figures are those of diffusers' documentation."""
    told = getattr(getattr(pipe, "vae", None), "config", {}).get("timestep_conditioning")
    return DECODING if told and "decode_timestep" in accepted else {}


def _sound(pipe: Any, result: Any) -> Any:
    audio = getattr(result, "audio", None)
    if audio is None:
        return None, 0
    return audio[0].float().cpu().numpy(), int(pipe.vocoder.config.output_sampling_rate)


def _go_on(
    ctx: Context, pipe: Any, wish: Wish, shape: Shape, made: Made, count: int, random: Any
) -> Made:
    """Parts from the last frame of the one before, which they begin with, until it is long
    enough."""
    import diffusers
    import numpy as np
    from PIL import Image

    kind = getattr(diffusers, family_of_pipeline(pipe).from_image)
    further = pipe if isinstance(pipe, kind) else kind(**pipe.components, **_settings(pipe, kind))
    parts: List[Any] = [made.frames]
    total = len(made.frames)
    while total < count:
        last = Image.fromarray(parts[-1][-1])
        again = replace(wish, image=last)
        left = legal_shape(None, further, Shape(frames=min(count - total + 1, len(made.frames))))
        size = Shape(shape.width or last.width, shape.height or last.height, left.frames)
        more = _part(ctx, further, again, size, made.fps, random).frames[1:]
        if not len(more):
            break
        parts.append(more)
        total += len(more)
        ctx.progress(min(total, count), count, "frames")
    return replace(made, frames=np.concatenate(parts)[:count])


def _settings(pipe: Any, kind: Any) -> Dict[str, Any]:
    """What is no component, but is said in the configuration of the first pipeline."""
    names = ("expand_timesteps", "boundary_ratio")
    accepted = inspect.signature(kind.__init__).parameters
    return {n: pipe.config[n] for n in names if n in accepted and n in pipe.config}


def warn_of_length(ctx: Context, pipe: Any, wish: Wish) -> None:
    """A prompt that is longer than what the model reads."""
    tokenizer = getattr(pipe, "tokenizer", None)
    if tokenizer is None or not wish.prompt:
        return
    default = arguments_default(pipe, "max_sequence_length") or tokenizer.model_max_length
    most = int(wish.options.get("max_sequence_length") or default)
    count = len(tokenizer(wish.prompt, truncation=False)["input_ids"])
    if most < count and math.isfinite(most):
        ctx.warning(f"the prompt has {count} tokens, of which the model reads {most}")


def arguments_default(pipe: Any, name: str) -> Any:
    """What the call takes when it is not said; None for what it does not take."""
    parameter = inspect.signature(type(pipe).__call__).parameters.get(name)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default
