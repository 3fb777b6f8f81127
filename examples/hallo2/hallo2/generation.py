"""How a long video is made: clip after clip, each of which continues the one before.

studio = load(Paths.of(folder), device="cuda", dtype=torch.float16)     # hallo2.loading
for frames in studio.frames(portrait, embedding, regions, speech, seed=42):
    ...  # uint8 [16, rows, columns, 3], as they come
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from hallo2.clip import Chance, shown, with_dropped
from hallo2.network import Networks
from hallo2.offload import Places
from hallo2.reference import remember
from hallo2.sizes import CLIP_FRAMES, HEARD_FRAMES, HEARD_LAYERS, MOTION_FRAMES, Sizes
from hallo2.sound import Hearing
from hallo2.unet import Conditions
from torch import Tensor

STEPS, CFG_SCALE = 40, 3.5
"""What upstream takes."""
LATENT_SCALE = 0.18215
PIXELS_PER_PLACE = 64
"""Of a side, at the coarsest level: sides are multiples of it."""


class Speech(Protocol):
    """What a tensor is asked for, so that what is heard may be made when its clip is."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def split(self, frames: int) -> Iterable[Tensor]: ...


def scheduler() -> DDIMScheduler:
    """Velocities; noise alone at the first step (zero terminal SNR)."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False,
        steps_offset=1, prediction_type="v_prediction", rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )  # fmt: skip


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


@dataclass(frozen=True)
class Guidance:
    """How the steps are led. halved: frames with guidance and those without it are computed one
    after the other, in half of the memory."""

    steps: int = STEPS
    cfg_scale: float = CFG_SCALE
    halved: bool = False

    @property
    def blind(self) -> int:
        """Halves without guidance: at a scale of 1 or less there is none."""
        return int(self.cfg_scale > 1)


class Studio:
    """The networks in their places; `hallo2.loading.load` makes it."""

    def __init__(
        self, networks: Networks, vae: AutoencoderKL, sizes: Sizes, places: Places,
        halved: bool = False,
    ) -> None:  # fmt: skip
        self._networks, self._vae, self._sizes = networks, vae, sizes
        self._places, self._halved = places, halved
        self._dtype = vae.dtype
        for network in (*networks.children(), *vae.children()):
            places.settle(network)

    def frames(
        self,
        portrait: Tensor,
        embedding: Tensor,
        regions: Regions,
        speech: Tensor | Speech,
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
        check(portrait, embedding, regions, speech, self._sizes)
        guidance = Guidance(steps, cfg_scale, self._halved)
        return self._clips(
            portrait.float(), regions, speech, guidance,
            self._told(embedding, regions, motion_scales, guidance), seed,
        )  # fmt: skip

    def _clips(
        self, portrait: Tensor, regions: Regions, speech: Tensor | Speech, guidance: Guidance,
        told: Conditions, seed: int,
    ) -> Iterator[Tensor]:  # fmt: skip
        chance = Chance(seed, self._dtype)
        still = self._encode(portrait[None])
        before = portrait[None].expand(MOTION_FRAMES, -1, -1, -1)
        for heard in speech.split(CLIP_FRAMES):
            kept = chance.kept(*portrait.shape[1:])
            pictures = [still, self._encode(with_dropped(before, kept, regions.located))]
            given = self._given(torch.cat(pictures), heard, told)
            noise = chance.noise(self._sizes.latents, CLIP_FRAMES, *still.shape[2:])
            made = self._decode(self._denoised(noise, given, guidance))
            if not torch.isfinite(made).all():
                raise FloatingPointError("the model gave numbers that are none (NaN)")
            before = made[-MOTION_FRAMES:] * 2 - 1
            yield shown(made)

    @torch.no_grad()
    def _told(
        self, embedding: Tensor, regions: Regions, scales: tuple[float, ...], guidance: Guidance
    ) -> Conditions:
        """What stays the same in every clip."""
        faces = self._here(embedding.reshape(1, -1))
        if guidance.blind:
            faces = torch.cat([torch.zeros_like(faces), faces])
        with self._places.there(self._networks.imageproj):
            identity = self._networks.imageproj(faces)
        with self._places.there(self._networks.face_locator):
            located = self._networks.face_locator(self._here(regions.located[None]))
        levels = zip(regions.pose, regions.face, regions.lip)
        hearing = tuple(
            Hearing(tuple(self._here(mask.reshape(-1, 1)) for mask in masks), tuple(scales))
            for masks in levels
        )
        none = torch.empty(0)
        return Conditions(identity, none, located, {}, hearing, guidance.blind)

    @torch.no_grad()
    def _given(self, pictures: Tensor, heard: Tensor, told: Conditions) -> Conditions:
        """pictures: latents of the portrait and of the frames before; heard: [frames, ...]."""
        with self._places.there(self._networks.audioproj):
            sound = self._networks.audioproj(self._here(heard))[None]
        if told.blind:
            sound = torch.cat([torch.zeros_like(sound), sound])
        network = self._networks.reference_unet
        with self._places.there(network):
            memory = remember(network, pictures, told.identity)
        return replace(told, sound=sound, memory=memory)

    @torch.no_grad()
    def _denoised(self, noise: Tensor, given: Conditions, guidance: Guidance) -> Tensor:
        """Latents [frames, channels, rows, columns]."""
        network, steps = self._networks.denoising_unet, scheduler()
        steps.set_timesteps(guidance.steps, device=self._places.device)
        latents = noise.to(self._places.device) * steps.init_noise_sigma
        parts = list(given.split()) if guidance.halved else [given]
        with self._places.there(network):
            for t in steps.timesteps:
                scaled = steps.scale_model_input(latents, t)
                velocity = torch.cat([network(scaled.repeat(p.halves, 1, 1, 1), t, p)
                                      for p in parts])  # fmt: skip
                if given.blind:
                    without, led = velocity.chunk(2)
                    velocity = without + guidance.cfg_scale * (led - without)
                latents = steps.step(velocity, t, latents, return_dict=False)[0]
        return latents

    @torch.no_grad()
    def _encode(self, frames: Tensor) -> Tensor:
        """Latents of frames [n, 3, rows, columns] in [-1, 1], one frame after the other."""
        with self._places.there(self._vae):
            means = [self._vae.encode(f[None]).latent_dist.mean for f in self._here(frames)]
        return torch.cat(means) * LATENT_SCALE

    @torch.no_grad()
    def _decode(self, latents: Tensor) -> Tensor:
        """Frames in [0, 1], float32 on the CPU, one frame after the other."""
        with self._places.there(self._vae):
            frames = [
                (self._vae.decode(f[None], return_dict=False)[0] / 2 + 0.5).clamp(0, 1).cpu()
                for f in latents * (1 / LATENT_SCALE)
            ]
        return torch.cat(frames).float()

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._places.device, self._dtype)


def check(
    portrait: Tensor, embedding: Tensor, regions: Regions, speech: Tensor | Speech, sizes: Sizes
) -> None:
    """Raises ValueError for shapes that do not belong together."""
    rows, columns = portrait.shape[-2:]
    if (
        portrait.shape != (3, rows, columns)
        or rows % PIXELS_PER_PLACE
        or columns % PIXELS_PER_PLACE
    ):
        raise ValueError(f"the portrait is {tuple(portrait.shape)}, not [3, 64 * n, 64 * m]")
    if embedding.shape != (sizes.embedding,):
        raise ValueError(f"the embedding is {tuple(embedding.shape)}, not [{sizes.embedding}]")
    if regions.located.shape != portrait.shape:
        raise ValueError(f"the face is located in {tuple(regions.located.shape)}, not the portrait")
    places = [(rows >> 3 + level) * (columns >> 3 + level) for level in range(sizes.levels)]
    for masks in (regions.pose, regions.face, regions.lip):
        if [mask.numel() for mask in masks] != places:
            raise ValueError(f"masks have {[m.numel() for m in masks]} places, not {places}")
    heard = (HEARD_FRAMES, HEARD_LAYERS, sizes.heard)
    if speech.shape[1:] != heard or not len(speech) or len(speech) % CLIP_FRAMES:
        raise ValueError(
            f"the speech is {tuple(speech.shape)}, not [{CLIP_FRAMES} * n, "
            f"{', '.join(map(str, heard))}]"
        )
