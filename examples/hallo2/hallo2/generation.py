"""How a long video is made: clip after clip, each of which continues the one before.

studio = load(Paths.of(folder), device="cuda", dtype=torch.float16)     # hallo2.loading
for frames in studio.frames(portrait, embedding, regions, speech, seed=42):
    ...  # uint8 [16, rows, columns, 3], as they come
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

CLIP_FRAMES = 16
"""Frames that are made at once."""
MOTION_FRAMES = 2
"""Frames of the end of a clip that the next one continues."""
FPS = 25
STEPS, CFG_SCALE = 40, 3.5
"""What upstream takes."""


@dataclass(frozen=True)
class Regions:
    """Where what is in the portrait, which is of `rows` x `columns`.

    located: where the face is, widened by the expand ratio: [3, rows, columns] in [0, 1]; the
        locator sees it, and what lies in it (> 0) of the frames before is never dropped.
    pose, face, lip: how much the sound moves of each place: the background, the face without the
        lips, the lips. Four masks each, of the latents' sides and of these halved once, twice and
        three times: [rows / 8 * columns / 8], ..., [rows / 64 * columns / 64], in [0, 1].
    """

    located: Tensor
    pose: tuple[Tensor, ...]
    face: tuple[Tensor, ...]
    lip: tuple[Tensor, ...]


class Studio:
    """The networks in their places. `hallo2.loading.load` makes it."""

    def frames(
        self,
        portrait: Tensor,
        embedding: Tensor,
        regions: Regions,
        speech: Tensor,
        *,
        steps: int = STEPS,
        cfg_scale: float = CFG_SCALE,
        motion_scales: tuple[float, float, float] = (1.0, 1.0, 1.0),
        seed: int = 42,
    ) -> Iterator[Tensor]:
        """Frames of each clip, uint8 [16, rows, columns, 3] on the CPU, as soon as they are made.

        portrait: [3, rows, columns] in [-1, 1]; sides are multiples of 64.
        embedding: of the face: [512] (zeros where none is known, as upstream does).
        speech: of each frame, the states of wav2vec2's layers around it: [frames, 5, 12, 768]; as
            many frames as whole clips have (the sound is padded before it is heard; cut the last
            clip's frames where the sound ends).
        motion_scales: how much the sound moves the pose, the face and the lips.
        cfg_scale: 1 or less: without guidance, in half of the time.
        The same seed gives the same frames. Raises ValueError for other shapes, and
        FloatingPointError where the networks give numbers that are none (NaN).
        """
        raise NotImplementedError
