"""How each repository is called at the least legal size, and the rules its sizes follow.

`CALLS` has what a repository is for; `IMAGE_CALLS` the same repositories by a class that starts
from an image (a list of images for `video`). No torch: tests read this table where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .families import HUNYUAN_15

IMAGE = "image"
VIDEO = "video"
WORDS = {"prompt": "a cat on the moon", "num_inference_steps": 2}


@dataclass(frozen=True)
class Call:
    """Arguments of `__call__`, less generator, `output_type` and what it starts from.

    arguments: legal for the real model too, except that `max_sequence_length` is short.
    starts_from: IMAGE or VIDEO where it needs one, of the size of the output.
    loads_as: the class to load with; None: the one that model_index.json names.
    multiple: pixels that width and height must be a multiple of, in the real model too.
    frames_step: frames are this times k, plus 1; 1: any number; 0: a picture, not a video.
    least_frames: fewer end in an error of shapes.
    fps: what the model was trained at and its authors write with.
    size: width, height of what comes out. fixed: no other is possible with these weights.
    latents: axes of the latents that a step's callback gets; packed ones have no place or time.
    """

    arguments: Mapping[str, Any]
    multiple: int
    frames_step: int
    fps: int
    size: tuple[int, int]
    latents: str = "batch channels frames height width"
    starts_from: str | None = None
    loads_as: str | None = None
    fixed: bool = False
    least_frames: int = 1
    output: str = "frames"
    adapter: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """How many come out; 1 of a picture."""
        return int(self.arguments.get("num_frames", 1))


def sized(size: int, frames: int, **more: Any) -> dict[str, Any]:
    return {**WORDS, "height": size, "width": size, "num_frames": frames, **more}


SVD = Call(
    {"height": 64, "width": 64, "num_frames": 4, "num_inference_steps": 2, "decode_chunk_size": 2},
    multiple=64, frames_step=1, fps=7, size=(64, 64), starts_from=IMAGE, least_frames=2,
    latents="batch frames channels height width",
)  # fmt: skip
SD_VIDEO = Call(
    sized(16, 4, negative_prompt="bad"), multiple=8, frames_step=1, fps=8, size=(16, 16)
)
ZEROSCOPE_XL = Call(
    {**WORDS, "num_inference_steps": 4, "strength": 0.6, "num_frames": 4}, multiple=8,
    frames_step=1, fps=8, size=(32, 32), starts_from=VIDEO, loads_as="VideoToVideoSDPipeline",
)  # fmt: skip
ANIMATEDIFF = Call(
    sized(16, 4, negative_prompt="bad"), multiple=8, frames_step=1, fps=8, size=(16, 16),
    loads_as="AnimateDiffPipeline", adapter="guoyww/animatediff-motion-adapter-v1-5-2",
)  # fmt: skip
SDXL = Call(
    {**WORDS, "height": 16, "width": 16, "negative_prompt": "bad"}, multiple=8, frames_step=0,
    fps=0, size=(16, 16), output="images", latents="batch channels height width",
    options={"add_watermarker": False},
)  # fmt: skip
SDXL_REFINER = Call(
    {**WORDS, "num_inference_steps": 4, "strength": 0.5}, multiple=8, frames_step=0, fps=0,
    size=(16, 16), output="images", latents="batch channels height width", starts_from=IMAGE,
    options={"add_watermarker": False},
)  # fmt: skip
WAN = Call(
    sized(16, 5, negative_prompt="bad", max_sequence_length=32), multiple=16, frames_step=4,
    fps=16, size=(16, 16),
)  # fmt: skip
WAN_5B = Call(
    sized(32, 5, negative_prompt="bad", max_sequence_length=32), multiple=32, frames_step=4,
    fps=24, size=(32, 32),
)  # fmt: skip
WAN_5B_IMAGE = Call(
    WAN_5B.arguments, multiple=32, frames_step=4, fps=24, size=(32, 32), starts_from=IMAGE,
    loads_as="WanImageToVideoPipeline",
)  # fmt: skip
WAN_IMAGE = Call(
    WAN.arguments, multiple=16, frames_step=4, fps=16, size=(16, 16), starts_from=IMAGE
)
PACKED = "batch tokens channels"
LTX = Call(  # One step is none: its schedule ends at 0.1 and needs a second.
    sized(32, 9, negative_prompt="bad", max_sequence_length=32), multiple=32, frames_step=8,
    fps=25, size=(32, 32), latents=PACKED,
)  # fmt: skip
LTX_IMAGE = Call(
    LTX.arguments, multiple=32, frames_step=8, fps=25, size=(32, 32), latents=PACKED,
    starts_from=IMAGE, loads_as="LTXImageToVideoPipeline",
)  # fmt: skip
LTX2 = Call(  # Text: a multiple of 128 tokens. 32x32 is one latent, too few for its decoder.
    sized(64, 9, negative_prompt="bad", max_sequence_length=128), multiple=32, frames_step=8,
    fps=24, size=(64, 64), latents=PACKED,
)  # fmt: skip
LTX2_IMAGE = Call(
    LTX2.arguments, multiple=32, frames_step=8, fps=24, size=(64, 64), latents=PACKED,
    starts_from=IMAGE, loads_as="LTX2ImageToVideoPipeline",
)  # fmt: skip
FRAMES_FIRST = "batch frames channels height width"
COGVIDEOX = Call(
    sized(16, 9), multiple=16, frames_step=4, fps=8, size=(16, 16), latents=FRAMES_FIRST
)
COGVIDEOX_IMAGE = Call(
    sized(32, 9), multiple=16, frames_step=4, fps=8, size=(32, 32), fixed=True,
    latents=FRAMES_FIRST, starts_from=IMAGE,
)  # fmt: skip
HUNYUAN = Call(
    sized(16, 5, max_sequence_length=64), multiple=16, frames_step=4, fps=15, size=(16, 16)
)
HUNYUAN_IMAGE = Call(
    sized(16, 5, max_sequence_length=64), multiple=16, frames_step=4, fps=15, size=(16, 16),
    starts_from=IMAGE,
)  # fmt: skip
HUNYUAN15 = Call(sized(16, 5), multiple=16, frames_step=4, fps=24, size=(16, 16))
HUNYUAN15_IMAGE = Call(  # No width or height: the image's shape at the area of `target_size`.
    {**WORDS, "num_frames": 5}, multiple=16, frames_step=4, fps=24, size=(64, 64),
    starts_from=IMAGE,
)  # fmt: skip

CALLS: dict[str, Call] = {
    "stabilityai/stable-video-diffusion-img2vid": SVD,
    "stabilityai/stable-video-diffusion-img2vid-xt": SVD,
    "ali-vilab/text-to-video-ms-1.7b": SD_VIDEO,
    "cerspense/zeroscope_v2_576w": SD_VIDEO,
    "cerspense/zeroscope_v2_XL": ZEROSCOPE_XL,
    "SG161222/Realistic_Vision_V5.1_noVAE": ANIMATEDIFF,
    "stabilityai/stable-diffusion-xl-base-1.0": SDXL,
    "stabilityai/stable-diffusion-xl-refiner-1.0": SDXL_REFINER,
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": WAN,
    "Wan-AI/Wan2.1-T2V-14B-Diffusers": WAN,
    "Wan-AI/Wan2.2-T2V-A14B-Diffusers": WAN,
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": WAN_5B,
    "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": WAN_IMAGE,
    "Wan-AI/Wan2.2-I2V-A14B-Diffusers": WAN_IMAGE,
    "Lightricks/LTX-Video": LTX,
    "Lightricks/LTX-2": LTX2,
    "zai-org/CogVideoX-2b": COGVIDEOX,
    "zai-org/CogVideoX-5b-I2V": COGVIDEOX_IMAGE,
    "hunyuanvideo-community/HunyuanVideo": HUNYUAN,
    "hunyuanvideo-community/HunyuanVideo-I2V": HUNYUAN_IMAGE,
    f"{HUNYUAN_15}_t2v": HUNYUAN15,
    f"{HUNYUAN_15}_i2v": HUNYUAN15_IMAGE,
}
IMAGE_CALLS: dict[str, Call] = {
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": WAN_5B_IMAGE,
    "Lightricks/LTX-Video": LTX_IMAGE,
    "Lightricks/LTX-2": LTX2_IMAGE,
}
