"""Sizes and lengths that a pipeline can make, read from its parts."""

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from ..predictor import Context, InputError


@dataclass(frozen=True)
class Shape:
    """Width and height in pixels, and frames; None for what the pipeline chooses itself."""

    width: Optional[int] = None
    height: Optional[int] = None
    frames: Optional[int] = None


def parse_size(text: Optional[str]) -> Tuple[Optional[int], Optional[int]]:
    """(width, height) of `832x480`; (None, None) of nothing."""
    if not text:
        return None, None
    width, x, height = text.lower().partition("x")
    if not (x and width.strip().isdigit() and height.strip().isdigit()):
        raise InputError(f"--size is WIDTHxHEIGHT, as in 832x480, not {text!r}")
    return int(width), int(height)


def legal_shape(ctx: Optional[Context], pipe: Any, asked: Shape) -> Shape:
    """The nearest that the pipeline can make; with ctx a change is said."""
    across = multiple_of(pipe)
    width, height = (_nearest(value, across) for value in (asked.width, asked.height))
    frames = _nearest_frames(asked.frames, step_of(pipe))
    name = type(pipe).__name__
    if ctx and (width, height) != (asked.width, asked.height):
        ctx.warning(
            f"{asked.width}x{asked.height} became {width}x{height}: {name} makes multiples of"
            f" {across}"
        )
    if ctx and frames != asked.frames:
        ctx.warning(
            f"{asked.frames} frames became {frames}: {name} makes a multiple of {step_of(pipe)},"
            " and one"
        )
    return Shape(width, height, frames)


def multiple_of(pipe: Any) -> int:
    """Pixels that a side has to be a multiple of: of a latent, times what the denoiser takes
    together."""
    latent = _first(
        pipe, "vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_scale_factor"
    )
    denoiser = getattr(pipe, "transformer", None)
    if denoiser is None:
        return (latent or 8) * _halvings(getattr(pipe, "unet", None))
    patch = getattr(denoiser.config, "patch_size", 1)
    if isinstance(patch, (list, tuple)):
        patch = patch[-1]
    return (latent or 8) * int(patch or 1)


def step_of(pipe: Any) -> int:
    """Frames that become one latent: a length is a multiple of it, and one. 1 where every length
    can be made."""
    return _first(pipe, "vae_scale_factor_temporal", "vae_temporal_compression_ratio") or 1


def _halvings(unet: Any) -> int:
    """How often a UNet halves what it gets, as a factor; 1 of one that makes up for what is odd."""
    if type(unet).__name__ != "UNetSpatioTemporalConditionModel":
        return 1
    return int(2 ** (len(unet.config.block_out_channels) - 1))


def _first(pipe: Any, *names: str) -> int:
    found = (getattr(pipe, name, None) for name in names)
    return next((int(value) for value in found if isinstance(value, int) and value), 0)


def _nearest(value: Optional[int], step: int) -> Optional[int]:
    return None if value is None else max(step, (value + step // 2) // step * step)


def _nearest_frames(value: Optional[int], step: int) -> Optional[int]:
    if value is None or step == 1:
        return value
    return max(0, (value - 1 + step // 2) // step) * step + 1
