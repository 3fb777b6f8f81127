"""Layers of the Wan 2.1 video autoencoder: convolutions that look back in time and never ahead.

Video is [batch, channels, frames, rows, columns]. It may come in pieces: what a layer has to know
of the frames before is kept in a `Past`, so that pieces give what the whole would. All names of
attributes are those of the official checkpoint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Past = dict[str, Tensor]
"""Last input frames of each layer that looks back, by the layer's name."""


class CausalConv(nn.Conv3d):
    """Convolution that sees the frame itself and those before it; before the first, zeros."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int, int] | int) -> None:
        super().__init__(inputs, outputs, kernel)
        frames, rows, columns = self.kernel_size
        self.reach = frames - 1
        self.padding = (0, rows // 2, columns // 2)
        self.place = ""

    def forward(self, video: Tensor, past: Past) -> Tensor:
        if self.reach == 0:
            return super().forward(video)
        before = past.get(self.place)
        if before is None:
            before = zeros_before(video, self.reach)
        video = torch.cat([before, video], dim=2)
        past[self.place] = kept(video, self.reach)
        return super().forward(video)


def blank(video: Tensor, channels: int, frames: int) -> Tensor:
    """Room for as many frames of as many channels, in the layout of `video`."""
    last = video.is_contiguous(memory_format=torch.channels_last_3d)
    shape = (video.shape[0], channels, frames, *video.shape[3:])
    layout = torch.channels_last_3d if last else torch.contiguous_format
    return torch.empty(shape, dtype=video.dtype, device=video.device, memory_format=layout)


def zeros_before(video: Tensor, frames: int) -> Tensor:
    return blank(video, video.shape[1], frames).zero_()


def kept(video: Tensor, frames: int) -> Tensor:
    """A copy of the last frames: a view would keep all of `video` in memory."""
    return video[:, :, -frames:].clone()


def by_frame(layer: nn.Module, video: Tensor) -> Tensor:
    """A layer for pictures, on every frame of a video."""
    batch, _, frames, _, _ = video.shape
    pictures = layer(video.transpose(1, 2).flatten(0, 1))
    return pictures.unflatten(0, (batch, frames)).transpose(1, 2)


class ChannelNorm(nn.Module):
    """Scales each pixel's channels to a mean square of 1, and by a learned gain."""

    def __init__(self, channels: int, axes: int) -> None:
        """`axes`: of what is normalised, after the channels: 3 in a video, 2 in a picture."""
        super().__init__()
        self.root = channels**0.5
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * axes))

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(pixels, dim=1) * self.root * self.gamma


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ChannelNorm(inputs, 3),
            nn.SiLU(),
            CausalConv(inputs, outputs, 3),
            ChannelNorm(outputs, 3),
            nn.SiLU(),
            nn.Identity(),  # dropout, where it was trained
            CausalConv(outputs, outputs, 3),
        )
        self.shortcut = nn.Identity() if inputs == outputs else CausalConv(inputs, outputs, 1)

    def forward(self, video: Tensor, past: Past) -> Tensor:
        return run(self.residual, video, past) + run([self.shortcut], video, past)


class FrameAttention(nn.Module):
    """Each pixel of a frame attends to the others of the same frame; one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, channels * 3, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, video: Tensor) -> Tensor:
        return video + by_frame(self._attend, video)

    def _attend(self, pictures: Tensor) -> Tensor:
        rows = pictures.shape[-2]
        mixed = self.to_qkv(self.norm(pictures)).flatten(2).transpose(1, 2).unsqueeze(1)
        query, key, value = mixed.chunk(3, dim=-1)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.proj(seen.squeeze(1).transpose(1, 2).unflatten(2, (rows, -1)))


class Halve(nn.Module):
    """Half the rows and columns; with `in_time`, half the frames after the first too."""

    def __init__(self, channels: int, in_time: bool) -> None:
        super().__init__()
        corner = nn.ZeroPad2d((0, 1, 0, 1))
        self.resample = nn.Sequential(corner, nn.Conv2d(channels, channels, 3, stride=2))
        self.in_time = in_time
        if in_time:
            self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1))
        self.place = ""

    def forward(self, video: Tensor, past: Past) -> Tensor:
        video = by_frame(self.resample, video)
        if not self.in_time:
            return video
        before = past.get(self.place)
        past[self.place] = kept(video, 1)
        if before is not None:
            return self.time_conv(torch.cat([before, video], dim=2))
        if video.shape[2] == 1:
            return video
        return torch.cat([video[:, :, :1], self.time_conv(video)], dim=2)


class Double(nn.Module):
    """Twice the rows and columns, half the channels; with `in_time`, two frames of each after the
    first."""

    def __init__(self, channels: int, in_time: bool) -> None:
        super().__init__()
        larger = nn.Upsample(scale_factor=2.0, mode="nearest-exact")
        self.resample = nn.Sequential(larger, nn.Conv2d(channels, channels // 2, 3, padding=1))
        self.in_time = in_time
        if in_time:
            self.time_conv = CausalConv(channels, channels * 2, (3, 1, 1))

    def forward(self, video: Tensor, past: Past) -> Tensor:
        if self.in_time:
            video = self._more_frames(video, past)
        return by_frame(self.resample, video)

    def _more_frames(self, video: Tensor, past: Past) -> Tensor:
        """The first frame of all stays one; those after it are made as if none had been before."""
        place = self.time_conv.place
        if place in past:
            return self._twice(video, past)
        first, rest = video[:, :, :1], video[:, :, 1:]
        past[place] = zeros_before(video, self.time_conv.reach)
        if rest.shape[2] == 0:
            return first
        return torch.cat([first, self._twice(rest, past)], dim=2)

    def _twice(self, video: Tensor, past: Past) -> Tensor:
        """Each frame's channels become those of two frames, one after the other."""
        first, second = self.time_conv(video, past).chunk(2, dim=1)
        twice = blank(first, first.shape[1], first.shape[2] * 2)
        twice[:, :, 0::2], twice[:, :, 1::2] = first, second
        return twice


def run(layers: nn.Module | list[nn.Module], video: Tensor, past: Past) -> Tensor:
    """The layers one after the other, each with its past where it has one."""
    for layer in layers:
        looks_back = isinstance(layer, (CausalConv, Residual, Halve, Double))
        video = layer(video, past) if looks_back else layer(video)
    return video


class Encoder(nn.Module):
    """Frames [batch, 3, 1 + 4 n, rows, columns] to [batch, outputs, 1 + n, rows / 8, columns / 8]
    (with three halvings, two of them in time)."""

    def __init__(
        self,
        base: int,
        outputs: int,
        widths: tuple[int, ...],
        blocks: int,
        in_time: tuple[bool, ...],
    ) -> None:
        super().__init__()
        channels = [base, *(base * width for width in widths)]
        self.conv1 = CausalConv(3, base, 3)
        downs: list[nn.Module] = []
        for level, (inner, outer) in enumerate(zip(channels, channels[1:])):
            downs += [Residual(inner if n == 0 else outer, outer) for n in range(blocks)]
            if level < len(in_time):
                downs.append(Halve(outer, in_time[level]))
        self.downsamples = nn.Sequential(*downs)
        self.middle = _middle(channels[-1])
        self.head = _head(channels[-1], outputs)
        _name_places(self)

    def forward(self, video: Tensor, past: Past) -> Tensor:
        video = self.conv1(video, past)
        video = run(self.middle, run(self.downsamples, video, past), past)
        return run(self.head, video, past)


class Decoder(nn.Module):
    """Latents [batch, inputs, 1 + n, rows, columns] to [batch, 3, 1 + 4 n, rows * 8, columns * 8];
    in what follows, 4 frames of each latent."""

    def __init__(
        self,
        base: int,
        inputs: int,
        widths: tuple[int, ...],
        blocks: int,
        in_time: tuple[bool, ...],
    ) -> None:
        """`widths` and `in_time` in the order of the encoder, whose way it goes back."""
        super().__init__()
        channels = [base * width for width in (widths[-1], *reversed(widths))]
        doublings = [*reversed(in_time)]
        self.conv1 = CausalConv(inputs, channels[0], 3)
        self.middle = _middle(channels[0])
        ups: list[nn.Module] = []
        for level, (inner, outer) in enumerate(zip(channels, channels[1:])):
            inner = inner // 2 if level else inner  # the doubling before has halved them
            ups += [Residual(inner if n == 0 else outer, outer) for n in range(blocks + 1)]
            if level < len(doublings):
                ups.append(Double(outer, doublings[level]))
        self.upsamples = nn.Sequential(*ups)
        self.head = _head(channels[-1], 3)
        _name_places(self)

    def forward(self, latents: Tensor, past: Past) -> Tensor:
        video = run(self.middle, self.conv1(latents, past), past)
        return run(self.head, run(self.upsamples, video, past), past)


def _middle(channels: int) -> nn.Sequential:
    sides = Residual(channels, channels), Residual(channels, channels)
    return nn.Sequential(sides[0], FrameAttention(channels), sides[1])


def _head(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(ChannelNorm(channels, 3), nn.SiLU(), CausalConv(channels, outputs, 3))


def _name_places(network: nn.Module) -> None:
    """Tells each layer that looks back under which name its past is kept."""
    for name, layer in network.named_modules():
        if isinstance(layer, (CausalConv, Halve)):
            layer.place = name
