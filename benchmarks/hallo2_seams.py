"""Whether clips of Hallo2 join without a jump, with small networks that are trained for it here.

    python benchmarks/hallo2_seams.py [--clips 13] [--sheet PNG] [--train FILE [--steps 2000]]

Weights that nobody trained make noise, which shows nothing of what a clip takes from the one
before. So small networks of the example's own classes learn a film, in the way of upstream's
training: velocities, the two frames before a clip as latents of the reference network, a quarter of
their pixels dropped. A head goes round, and its mouth is as open as the sound is loud. How far
round it is the sound does not say: only the frames before do. Then the example's own code makes
clip after clip.

How much a frame differs from the one before, where clips join and within them: the head goes on
evenly, so a jump shows. Beside it the same networks with the portrait for the frames before, as if
nothing were carried over: there every clip begins anew. Ends with status 1 where the mean of the
joins is larger than the median within. Prints Markdown.

Without --train: of the weights that the tests have, which this made in 20 minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
# A file here has the package's name: the package is found first, and this folder last.
sys.path[:] = [
    str(HERE.parent / "examples" / "hallo2"),
    *(place for place in sys.path if Path(place or ".").resolve() != HERE),
]

from diffusers import AutoencoderKL  # noqa: E402
from hallo2.clip import with_dropped  # noqa: E402
from hallo2.generation import LATENT_SCALE, scheduler  # noqa: E402
from hallo2.network import Networks  # noqa: E402
from hallo2.reference import remember  # noqa: E402
from hallo2.sizes import CLIP_FRAMES, MOTION_FRAMES  # noqa: E402
from hallo2.sound import Hearing  # noqa: E402
from hallo2.spatial import Memory  # noqa: E402
from hallo2.unet import Conditions  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor, nn  # noqa: E402

sys.path.append(str(HERE))

from hallo2_moving import (  # noqa: E402
    KEPT,
    PERIOD,
    SIDE,
    SIZES,
    SYLLABLE,
    VAE,
    changes,
    film,
    keep,
    picture,
    regions,
    speech,
    studio,
    untrained,
)

PHASES, MOUTHS = 4 * PERIOD, 17
"""So many of each are learned, evenly spread."""
SEEDS = range(1, 6)


def main() -> None:
    """Train if asked to, make the films, print; the status says whether it holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, metavar="FILE", help="anew, and keep it there")
    parser.add_argument("--steps", type=int, default=2000, help="of training the networks")
    parser.add_argument("--clips", type=int, default=SYLLABLE)
    parser.add_argument("--sheet", type=Path, help="a picture of the frames at two joins")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.train:
        vae, networks = AutoencoderKL(**VAE), untrained()
        train_autoencoder(vae)
        train_networks(networks, vae, chosen.steps)
        keep(vae, networks, chosen.train)
    made_by = studio(chosen.train or KEPT)
    print("| a clip continues | where clips join, mean | largest | within, median | largest |")
    print("|---|---|---|---|---|")
    holds, first = [], []
    for name, carried in (("two frames of the clip before", True), ("the portrait", False)):
        films = [film(made_by, chosen.clips, carried=carried, seed=seed) for seed in SEEDS]
        joins, within = (torch.cat(of) for of in zip(*map(changes, films), strict=True))
        print(f"| {name} | {joins.mean():.2f} | {joins.max():.2f} "
              f"| {within.median():.2f} | {within.max():.2f} |")  # fmt: skip
        holds.append(bool(joins.mean() <= within.median()))
        first.append(films[0])
    if chosen.sheet:
        sheet(first, chosen.sheet)
    sys.exit(int(not holds[0]))


def train_autoencoder(vae: AutoencoderKL, steps: int = 2500, rate: float = 4e-3) -> None:
    """Pictures there and back, and latents of the size that Stable Diffusion's have."""
    learning = Learning(vae, rate, steps)
    for _ in learning.steps("autoencoder"):
        pictures = picture(torch.rand(4) * 2 * math.pi, torch.rand(4))
        means = vae.encode(pictures).latent_dist.mean
        spread = means.std() * LATENT_SCALE
        noise = 0.05 * means.std().detach() * torch.randn_like(means)
        back = vae.decode(means + noise).sample
        scaled = (spread - 1) ** 2 + (means.mean() * LATENT_SCALE) ** 2
        learning.lower(F.l1_loss(back, pictures) + F.mse_loss(back, pictures) + 0.05 * scaled)
    learning.finish()


class Learning:
    """Adam over one cycle of the rate; at the end the means of the weights over the last steps."""

    def __init__(self, network: nn.Module, rate: float, steps: int) -> None:
        self._weights, self._most, self._done = list(network.parameters()), steps, 0
        self._means = [weight.detach().clone() for weight in self._weights]
        self._adam = torch.optim.AdamW(
            self._weights, rate, betas=(0.9, 0.99), weight_decay=0, fused=True
        )
        self._rates = torch.optim.lr_scheduler.OneCycleLR(self._adam, rate, steps, pct_start=0.1)
        self._loss = 0.0

    def steps(self, name: str, every: int = 100) -> Iterator[int]:
        """Their numbers; says how far it is."""
        for number in range(self._most):
            self._done = number
            yield number
            if number % every == 0:
                print(f"{name} {number}: {self._loss:.4f}", file=sys.stderr, flush=True)

    def lower(self, loss: Tensor) -> None:
        """A step downwards."""
        self._adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._adam.step()
        self._rates.step()
        kept = min(0.999, (1 + self._done) / (10 + self._done))
        with torch.no_grad():
            torch._foreach_lerp_(self._means, self._weights, 1 - kept)
        self._loss = 0.98 * self._loss + 0.02 * loss.item() if self._done else loss.item()

    @torch.no_grad()
    def finish(self) -> None:
        """The network has the means."""
        for weight, mean in zip(self._weights, self._means, strict=True):
            weight.copy_(mean)


@dataclass(frozen=True)
class Lesson:
    """Clips of one portrait: latents [clips * 16, 4, 8, 8]; loud [clips, 16 + 2], as the two frames
    before are; pictures: latents of the portrait and of the frames before [1 + clips * 2, ...]."""

    latents: Tensor
    loud: Tensor
    pictures: Tensor


class Lessons:
    """All frames as latents, once; out of these, clips."""

    def __init__(self, vae: AutoencoderKL) -> None:
        self._vae = vae
        self._located = regions().located
        mouths = torch.arange(MOUTHS) / (MOUTHS - 1)
        angles = torch.arange(PHASES) * (2 * math.pi / PHASES)
        self._all = torch.stack([self._encoded(picture(a.expand(MOUTHS), mouths)) for a in angles])

    @torch.no_grad()
    def _encoded(self, pictures: Tensor) -> Tensor:
        return self._vae.encode(pictures).latent_dist.mean * LATENT_SCALE

    def one(self, clips: int) -> Lesson:
        """Some of them are the first of a video: the frames before are the portrait. The others'
        are drawn a little wrong, as those are that a network has made."""
        frames = torch.arange(-1, CLIP_FRAMES + 1)
        began, first = torch.randint(PHASES, (1,)), torch.rand(clips) < 0.15
        turned = torch.where(first, began, torch.randint(PHASES, (clips,)))
        places = (turned[:, None] + frames * (PHASES // PERIOD)) % PHASES
        rate, shift = 8 + 10 * torch.rand(clips, 1), torch.rand(clips, 1)
        loud = 0.5 + 0.5 * torch.cos(2 * math.pi * ((frames + 1) / rate + shift))
        mouths = (loud * (MOUTHS - 1)).round().long()
        portrait = picture(began * (2 * math.pi / PHASES), torch.zeros(1))
        before = picture(
            places[:, :2].flatten() * (2 * math.pi / PHASES), loud[:, :2].flatten()
        ).unflatten(0, (clips, 2))
        before[first] = portrait
        wrong = F.interpolate(torch.randn(2 * clips, 3, 8, 8), SIDE, mode="bilinear")
        before = before.flatten(0, 1) + 0.05 * torch.rand(()) * wrong
        kept = torch.rand(SIDE, SIDE) > 0.25
        shown = self._encoded(torch.cat([portrait, with_dropped(before, kept, self._located)]))
        return Lesson(self._all[places[:, 2:], mouths[:, 2:]].flatten(0, 1), loud, shown)


def train_networks(
    networks: Networks, vae: AutoencoderKL, steps: int, clips: int = 2, rate: float = 2e-3
) -> None:
    """To tell velocities, at the last timestep (noise alone) more often than at others."""
    vae.eval().requires_grad_(False)
    lessons, learning = Lessons(vae), Learning(networks, rate, steps)
    signal = scheduler().alphas_cumprod
    for _ in learning.steps("networks"):
        lesson = lessons.one(clips)
        t = torch.randint(1000, ()) if torch.rand(()) > 0.25 else torch.tensor(999)
        kept, drowned = signal[t].sqrt(), (1 - signal[t]).sqrt()
        noise = torch.randn_like(lesson.latents)
        noisy = kept * lesson.latents + drowned * noise
        told = networks.denoising_unet(noisy, t, conditions(networks, lesson, clips))
        learning.lower(F.mse_loss(told, kept * noise - drowned * lesson.latents))
    learning.finish()


def conditions(networks: Networks, lesson: Lesson, clips: int) -> Conditions:
    """Each clip takes the place of a half: all see the one portrait, each its own frames before."""
    identity = networks.imageproj(torch.zeros(1, SIZES.embedding))
    heard = speech(lesson.loud)[:, 2:].flatten(0, 1)
    where = regions()
    masks = (tuple(mask[:, None] for mask in level)
             for level in zip(where.pose, where.face, where.lip, strict=True))  # fmt: skip
    seen = remember(networks.reference_unet, lesson.pictures, identity)
    return Conditions(
        identity.expand(clips, -1, -1),
        networks.audioproj(heard).unflatten(0, (clips, -1)),
        networks.face_locator(where.located[None]),
        {name: Memory(memory.portrait, memory.motion[0].unflatten(0, (clips, MOTION_FRAMES)))
         for name, memory in seen.items()},
        tuple(Hearing(level, (1.0, 1.0, 1.0)) for level in masks),
        blind=0,
    )  # fmt: skip


def sheet(films: list[Tensor], file: Path, around: int = 5) -> None:
    """A row for each film and join, the first two of them: the frames about it."""
    rows = [
        torch.cat(list(frames[join - around : join + around]), 1)
        for frames in films
        for join in (CLIP_FRAMES, 2 * CLIP_FRAMES)
    ]
    Image.fromarray(torch.cat(rows).byte().numpy()).save(file)


if __name__ == "__main__":
    main()
