"""A speech of any length, clip by clip: each one goes on from the last frames of the one before."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch
from cvl_inside.diffusion import finite_frames
from PIL import Image

FPS = 16
MOTION = 73
"""Frames that a clip sees of what was before it."""
LEAD = 3
"""The first frames of the first clip still look like the picture that it begins with, and are not
shown. They get the first sound, so that what is shown is in step with the speech."""
FROM_REFERENCE = 6
"""Frames of the picture that are before the first clip when it is to begin with the picture."""

Bar = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Plan:
    """frames: that are shown; per_clip: that a clip makes; lead: of the first, that are not."""

    frames: int
    per_clip: int
    lead: int

    @property
    def clips(self) -> int:
        return math.ceil((self.frames + self.lead) / self.per_clip)

    @property
    def made(self) -> int:
        """Frames of all clips together, also those that are not shown."""
        return self.clips * self.per_clip


def plan(seconds: float, per_clip: int, most_clips: Optional[int], from_reference: bool) -> Plan:
    """For a speech of that length, or for as many clips of it as are wanted."""
    lead = 0 if from_reference else LEAD
    frames = math.ceil(round(seconds * FPS, 3))
    if most_clips is not None:
        frames = min(frames, most_clips * per_clip - lead)
    return Plan(frames, per_clip, lead)


@dataclass(frozen=True)
class Wish:
    """What is the same for all clips. image: of the size of the video; pose: the frame that the
    figure takes its pose from at a place in time, or None without poses."""

    image: Image.Image
    prompt: str
    negative_prompt: str
    steps: int
    guidance: float
    shift: float
    seed: int
    tiling: bool
    from_reference: bool
    pose: Optional[Callable[[int], Image.Image]] = None


class Film:
    """The clips of a plan, made one after the other by a pipeline.

    heard: [layers, channels, frames], with the lead before it.
    """

    def __init__(self, pipe: Any, plan: Plan, wish: Wish, heard: torch.Tensor, bar: Bar) -> None:
        self._pipe, self._plan, self._wish, self._bar = pipe, plan, wish, bar
        missing = plan.made - heard.shape[2]
        self._heard = torch.nn.functional.pad(heard, (0, max(0, missing)))
        self._before = self._nothing()

    def clips(self) -> Iterator[Any]:
        """uint8 [frames, rows, columns, 3] of each clip, as it is done."""
        left = self._plan.frames
        for number in range(self._plan.clips):
            made = self._made(number)
            shown = made[:, :, self._plan.lead if number == 0 else 0 :]
            self._before = torch.cat([self._before, shown], dim=2)[:, :, -MOTION:]
            frames = finite_frames(((shown + 1) / 2).permute(0, 2, 3, 4, 1).numpy())[:left]
            left -= len(frames)
            yield frames

    def _made(self, number: int) -> torch.Tensor:
        """[1, 3, frames, rows, columns] -1 to 1, in float32 on the CPU."""
        wish, length = self._wish, self._plan.per_clip
        begin = number * length
        goes_on = number > 0 or wish.from_reference
        video = self._pipe(
            prompt=wish.prompt,
            negative_prompt=wish.negative_prompt,
            input_image=wish.image,
            audio_embeds=self._on_device(self._heard[None, :, :, begin : begin + length]),
            s2v_pose_video=self._poses(begin),
            motion_video=self._on_device(self._before) if goes_on else None,
            seed=wish.seed + number,
            width=wish.image.width,
            height=wish.image.height,
            num_frames=length + 1,
            cfg_scale=wish.guidance,
            num_inference_steps=wish.steps,
            sigma_shift=wish.shift,
            tiled=wish.tiling,
            progress_bar_cmd=self._bar,
            output_type="floatpoint",
        )
        return video[:, :, -length:].float().cpu()

    def _poses(self, begin: int) -> Optional[list[Image.Image]]:
        pose, lead = self._wish.pose, self._plan.lead
        if pose is None:
            return None
        return [pose(max(0, frame - lead)) for frame in range(begin, begin + self._plan.per_clip)]

    def _nothing(self) -> torch.Tensor:
        """[1, 3, MOTION, rows, columns] before the first clip: grey, or ended by the picture."""
        image = self._wish.image
        before = torch.zeros(1, 3, MOTION, image.height, image.width)
        if self._wish.from_reference:
            before[:, :, -FROM_REFERENCE:] = self._pipe.preprocess_image(
                image, torch_dtype=torch.float32, device="cpu"
            )[:, :, None]
        return before

    def _on_device(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device=self._pipe.device, dtype=self._pipe.torch_dtype)
