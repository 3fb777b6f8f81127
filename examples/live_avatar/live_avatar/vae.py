"""The Wan 2.1 video autoencoder: 8 x 8 pixels of 4 frames in one vector of 16 numbers.

The first frame of a video has a latent frame of its own, and each 4 that follow have one. Both
directions take video in pieces and give what they would for the whole, so that memory does not
grow with its length.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from live_avatar.pickles import Tensors, load_pickled
from live_avatar.vae_layers import CausalConv, Decoder, Encoder, Past

MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
SPREAD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip
"""Mean and standard deviation of each channel of latents, over what the model was trained on."""


@dataclass(frozen=True)
class VideoAutoencoderSizes:
    """Those of Wan2.1_VAE.pth unless said otherwise. `widths`: channels of each level, in `base`s;
    `in_time`: at which of the halvings between them the frames are halved too."""

    base: int = 96
    latent: int = len(MEAN)
    widths: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    in_time: tuple[bool, ...] = (False, True, True)


OFFICIAL = VideoAutoencoderSizes()


class VideoAutoencoder(nn.Module):
    """State dict as in Wan2.1_VAE.pth."""

    def __init__(self, sizes: VideoAutoencoderSizes = OFFICIAL) -> None:
        super().__init__()
        latent, shape = sizes.latent, (sizes.widths, sizes.blocks, sizes.in_time)
        self.encoder = Encoder(sizes.base, latent * 2, *shape)
        self.conv1 = CausalConv(latent * 2, latent * 2, 1)
        self.conv2 = CausalConv(latent, latent, 1)
        self.decoder = Decoder(sizes.base, latent, *shape)

    def spread_of_latents(self) -> tuple[Tensor, Tensor]:
        """(mean, standard deviation) of each channel, [1, latent, 1, 1, 1]: always in float32."""
        weight = self.conv2.weight
        columns = torch.tensor([MEAN, SPREAD], device=weight.device)[:, : weight.shape[0]]
        mean, spread = columns.view(2, 1, -1, 1, 1, 1)
        return mean, spread

    def encode(self, video: Tensor) -> Tensor:
        """Latents, float32 [batch, latent, 1 + n, rows / 8, columns / 8], of a whole video [batch,
        3, 1 + 4 n, rows, columns] of -1 to 1: the mean of their distribution, normalised."""
        stream = VideoEncoding(self)
        pieces = [video[:, :, :1], *video[:, :, 1:].split(4, dim=2)]
        return torch.cat([stream(piece) for piece in pieces if piece.shape[2]], dim=2)

    def decode(self, latents: Tensor) -> Tensor:
        """Video of -1 to 1, float32 [batch, 3, 1 + 4 n, rows * 8, columns * 8], of all latents
        [batch, latent, 1 + n, rows, columns]."""
        stream = VideoDecoding(self)
        return torch.cat([stream(latent) for latent in latents.split(1, dim=2)], dim=2)


class VideoEncoding:
    """A video on its way in. The first piece has 1 + 4 n frames, each other a multiple of 4."""

    def __init__(self, vae: VideoAutoencoder) -> None:
        self._vae = vae
        self._mean, self._spread = vae.spread_of_latents()
        self._past: Past = {}

    def __call__(self, video: Tensor) -> Tensor:
        """Latents of these frames, as `encode` gives them. Raises ValueError when the frames do
        not fill their last latent, or the picture is no multiple of 8."""
        vae, weight = self._vae, self._vae.conv1.weight
        _, _, frames, rows, columns = video.shape
        if frames % 4 != (0 if self._past else 1) or rows % 8 or columns % 8:
            raise ValueError(f"the autoencoder takes no {frames} frames of {columns} x {rows}")
        coded = vae.encoder(video.to(weight), self._past)
        mean, _ = vae.conv1(coded, {}).float().chunk(2, dim=1)
        return (mean - self._mean) / self._spread


class VideoDecoding:
    """A video on its way out. The first latent ever given is one frame, each other is four.

    All latents of a call go through the network at once: 3 of them take three times the memory
    of 1, and less time on a GPU than one after the other.
    """

    def __init__(self, vae: VideoAutoencoder) -> None:
        self._vae = vae
        self._mean, self._spread = vae.spread_of_latents()
        self._past: Past = {}

    def __call__(self, latents: Tensor) -> Tensor:
        """Frames of these latents, as `decode` gives them."""
        vae, weight = self._vae, self._vae.conv2.weight
        raw = latents.float() * self._spread + self._mean
        mixed = vae.conv2(raw.to(weight), {})
        return vae.decoder(mixed, self._past).float().clamp_(-1, 1)


def load_vae(
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
) -> VideoAutoencoder:
    """The autoencoder in Wan2.1_VAE.pth, or a file like it of other sizes. `channels_last` is the
    layout in which GPUs convolve half precision faster; the numbers are the same."""
    vae = load_pickled(lambda tensors: VideoAutoencoder(sizes_of(tensors)), path, dtype, device)
    if channels_last:
        use_channels_last(vae)
    return vae


def sizes_of(tensors: Tensors) -> VideoAutoencoderSizes:
    """As the weights show them. Raises KeyError for those of another model."""
    base = tensors["encoder.conv1.weight"].shape[0]
    levels: list[list[int]] = [[]]
    in_time = []
    for place in itertools.count():
        name = f"encoder.downsamples.{place}"
        if f"{name}.resample.1.weight" in tensors:
            in_time.append(f"{name}.time_conv.weight" in tensors)
            levels.append([])
        elif f"{name}.residual.2.weight" in tensors:
            levels[-1].append(tensors[f"{name}.residual.2.weight"].shape[0] // base)
        else:
            break
    latent, widths = tensors["conv2.weight"].shape[0], tuple(level[-1] for level in levels)
    return VideoAutoencoderSizes(base, latent, widths, len(levels[0]), tuple(in_time))


def use_channels_last(vae: VideoAutoencoder) -> None:
    """What comes in follows the layout of the weights."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for layer in vae.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            layout = layouts[layer.weight.dim()]
            layer.weight.data = layer.weight.data.contiguous(memory_format=layout)
