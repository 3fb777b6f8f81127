"""Block by block: noise and audio in, latents out.

    for latents in generate(model, conditions, audio_blocks(features), seed=42):
        frames = decoder.decode(latents)

Nothing grows with the length of the video, and a block is given out before the next is begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Callable, NamedTuple

import torch
from torch import Tensor

from live_avatar.attention import KeyValue, attend
from live_avatar.audio import Heard
from live_avatar.cache import Caches, CacheSizes, Place, place_of
from live_avatar.conditions import Distances, motion_tokens, reference_frame, starting_rotation
from live_avatar.dit import AvatarTransformer
from live_avatar.graphs import Graphs
from live_avatar.rope import Rotary, Rotation, rotate
from live_avatar.schedule import euler, sigmas, timesteps
from live_avatar.sizes import Grid
from live_avatar.timeline import BLOCK_LATENTS, CLIP_BLOCKS, ClipNoise

STEPS = 4


@dataclass(frozen=True)
class Conditions:
    """What a video is made from besides sound.

    `reference` [channels, 1, height, width] and `motion` [channels, up to 19, height, width] are
    normalised latents of the picture and of the frames before the first; `text` [tokens, text_dim]
    is the prompt's embedding without padding.
    """

    reference: Tensor
    motion: Tensor
    text: Tensor

    @property
    def grid(self) -> Grid:
        """The picture's size."""
        return Grid(*self.reference.shape[-2:])


class BlockInputs(NamedTuple):
    """What a block's steps have in common."""

    rotation: Rotation
    heard: list[Heard]
    pose: Tensor | None


class BlockMaker:
    """Makes one block after the other; holds the caches, and knows no more of the past.

    `graphs` replays each step as a CUDA graph, from the block on at which nothing changes any more.
    `part`: only these of the steps are made here, and have caches here.
    """

    def __init__(
        self,
        model: AvatarTransformer,
        grid: Grid,
        steps: int = STEPS,
        graphs: bool = False,
        clip_blocks: int = CLIP_BLOCKS,
        part: range | None = None,
    ) -> None:
        self._model = model
        self._part = range(steps) if part is None else part
        self._rotary = Rotary(model.sizes.head_dim, grid, model.device)
        self._sizes = CacheSizes(
            layers=model.sizes.layers,
            heads=model.sizes.heads,
            head_dim=model.sizes.head_dim,
            block=BLOCK_LATENTS * grid.frame_tokens,
            reference=grid.frame_tokens,
            motion=motion_tokens(grid),
            window=clip_blocks,
            steps=len(self._part),
            first=self._part.start,
        )
        self.caches = Caches(self._sizes, model.dtype, model.device)
        self._levels = sigmas(steps).to(model.device)
        with torch.no_grad():
            times = timesteps(steps).tolist()
            self._moments = {step: model.moment(times[step]) for step in self._part}
            self._clean = model.moment(0.0)
        self._text: list[KeyValue] = []
        self._graphs = Graphs(self._velocity) if graphs else None

    @torch.no_grad()
    def start(self, conditions: Conditions) -> None:
        """Read the text, and fill the caches with the conditions: once, for all steps."""
        self._text = self._model.read(conditions.text)
        rotation = starting_rotation(self._rotary)

        def exchange(layer: int, query: Tensor, upright: KeyValue) -> Tensor:
            turned = rotate(query, rotation)
            return self.caches.hold_conditions(layer, upright, rotation, turned)

        # It has a shape of its own and runs once: compiling it would cost more than it takes.
        with torch.compiler.set_stance("force_eager"):
            self._model.prefill(
                self._moved(conditions.reference),
                self._moved(conditions.motion),
                self._clean,
                self._text,
                exchange,
            )

    @torch.no_grad()
    def make(
        self, block: int, noise: Tensor, audio: Tensor, distance: int, pose: Tensor | None = None
    ) -> Tensor:
        """The latents of a block: [channels, 3, height, width], like `noise` and `pose`.

        Blocks must come in order. `audio` is [states, 12, channels]; `distance` is how far ahead
        the reference stands. Where earlier steps are made elsewhere, `noise` is what they left.
        """
        first = block * BLOCK_LATENTS
        inputs = BlockInputs(
            self._rotary.frames(range(first, first + BLOCK_LATENTS)),
            self._model.hear(audio),
            None if pose is None else self._moved(pose),
        )
        self.caches.turn_reference(self._rotary.frames([reference_frame(first, distance)]))
        replayed = self._graphs is not None and block >= self._sizes.window
        velocity = self._graphs if replayed else self._velocity
        latents = self._moved(noise)
        for step in self._part:
            place = place_of(step, block, self._sizes)
            moving = velocity(step, place, latents, inputs)
            latents = euler(latents, moving, self._levels[step], self._levels[step + 1])
        return latents

    def _velocity(self, step: int, place: Place, latents: Tensor, inputs: BlockInputs) -> Tensor:
        def exchange(layer: int, query: Tensor, new: KeyValue) -> Tensor:
            return attend(query, self.caches.remember(step, place, layer, new))

        return self._model(
            latents, self._moments[step], inputs.rotation, self._text, inputs.heard, exchange,
            inputs.pose,
        )  # fmt: skip

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._model.device, self._model.dtype)


def generate(
    model: AvatarTransformer,
    conditions: Conditions,
    audio: Iterable[Tensor],
    *,
    seed: int,
    steps: int = STEPS,
    noise: Callable[[int], Tensor] | None = None,
    distances: Iterable[int] | None = None,
    poses: Iterable[Tensor] | None = None,
    adaptive_sink: bool = False,
    graphs: bool = False,
    clip_blocks: int = CLIP_BLOCKS,
    part: range | None = None,
) -> Iterator[Tensor]:
    """The latents [channels, 3, height, width] of each block, for as long as there is audio.

    `audio` gives a block's features [states, 12, channels] at a time and may be endless; it is
    asked for the next only when that is begun. `noise`, `distances` and `poses` are of the seed
    and none where they are not given. `adaptive_sink` puts the first frame that was made in the
    reference's place after the first clip, which keeps long videos nearer to themselves.
    `clip_blocks` is how many blocks attention looks back on, the block itself among them.
    `part`: only these steps are made here; `noise` then gives what the ones before them left, and
    what is yielded is for those that follow. Raises ValueError for a part with an adaptive sink,
    which is what the last step made.
    """
    if part is not None and adaptive_sink:
        raise ValueError("an adaptive sink needs all steps in one place")
    grid = conditions.grid
    shape = (model.sizes.latent_channels, clip_blocks * BLOCK_LATENTS, grid.height, grid.width)
    noise = noise or ClipNoise(seed, shape)
    distance = iter(distances if distances is not None else Distances(seed))
    pose = iter(poses if poses is not None else ())
    maker = BlockMaker(model, grid, steps, graphs, clip_blocks, part)
    maker.start(conditions)
    made_first = conditions.reference
    for block, heard in enumerate(audio):
        if adaptive_sink and block == clip_blocks:
            maker.start(Conditions(made_first, conditions.motion, conditions.text))
        latents = maker.make(block, noise(block), heard, next(distance), next(pose, None))
        if block == 0:
            made_first = latents[:, :1].clone()
        yield latents
