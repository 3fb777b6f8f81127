"""Pictures on their way into a pipeline: opened, upright, and cut to its size."""

import inspect
import math
from typing import Any, Optional, Tuple

from ..predictor import InputError

FALLBACK = (832, 480)
SIDES = ("width", "height")


def open_picture(path: str) -> Any:
    """Pillow image in RGB, upright as its EXIF says; what is transparent becomes white, and of 16
    bits the upper 8 are kept."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                image = _eight_bits(image)
            if image.mode in ("RGBA", "LA", "PA", "P") or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return image.convert("RGB")
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise InputError(
            f"the picture is too large: more than {most} pixels", "give a smaller one"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"the picture cannot be read: {error}", "give a JPEG, PNG or WebP file"
        ) from None


def _eight_bits(image: Any) -> Any:
    """Pillow itself would make white of all that is above 255."""
    import numpy as np
    from PIL import Image

    deep = np.asarray(image).astype(np.int64) >> 8
    return Image.fromarray(deep.clip(0, 255).astype(np.uint8))


def covering(image: Any, width: Optional[int], height: Optional[int]) -> Any:
    """The middle of the picture, scaled so that it fills width x height."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (width or 1, height or 1), Image.Resampling.LANCZOS)


def default_size(pipe: Any) -> Tuple[int, int]:
    """(width, height) that the pipeline takes when nothing is said."""
    parameters = inspect.signature(type(pipe).__call__).parameters
    width, height = (getattr(parameters.get(name), "default", None) for name in SIDES)
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    config = getattr(getattr(pipe, "transformer", None), "config", None)
    width, height = (getattr(config, f"sample_{name}", None) for name in SIDES)
    if isinstance(width, int) and isinstance(height, int):
        scale = getattr(pipe, "vae_scale_factor_spatial", 8)
        return width * scale, height * scale
    return FALLBACK


def sized_like(image: Any, size: Tuple[int, int]) -> Tuple[int, int]:
    """As many pixels as `size` has, in the proportions of the picture (3:1 at most)."""
    ratio = min(max(image.width / image.height, 1 / 3), 3.0)
    area = size[0] * size[1]
    return round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
