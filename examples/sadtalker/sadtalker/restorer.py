"""Draws a blurred face anew: GFPGAN's net for 512 pixels, named as its official weights name it.

A U-Net sees the face and says, level by level, how a StyleGAN2 is to draw one like it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

Tensor = torch.Tensor
CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)
LATENT = 512
SMALLEST = 4  # pixels on each side where drawing begins
SLOPE = 0.2
GAIN = 2**0.5
EPSILON = 1e-8


def leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


def scaled(x: Tensor, factor: float) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear")


class Block(nn.Module):
    """(B, inputs, h, w) -> (B, outputs, h * factor, w * factor)."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        made = leaky(self.conv2(scaled(leaky(self.conv1(x)), self.factor)))
        return made + self.skip(scaled(x, self.factor))


class ModulatedConv(nn.Module):
    """A convolution whose inputs a style (B, latent) makes stronger or weaker; `even`: and whose
    outputs are brought back to the same strength."""

    def __init__(self, inputs: int, outputs: int, kernel: int, latent: int, even: bool) -> None:
        super().__init__()
        self.even = even
        self.modulation = nn.Linear(latent, inputs)
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, kernel, kernel))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        strength, weight = self.modulation(style), self.weight[0]
        made = functional.conv2d(x * strength[..., None, None], weight, padding="same")
        if not self.even:
            return made
        power = strength.square() @ weight.square().sum((2, 3)).T
        return made * torch.rsqrt(power + EPSILON)[..., None, None]


class StyleConv(nn.Module):
    """weight: how much of the noise (1, 1, h, w) is added."""

    def __init__(self, inputs: int, outputs: int, latent: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, outputs, 3, latent, even=True)
        self.weight = nn.Parameter(torch.empty(1))
        self.bias = nn.Parameter(torch.empty(1, outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        return leaky(self.modulated_conv(x, style) * GAIN + self.weight * noise + self.bias)


class ToColours(nn.Module):
    def __init__(self, inputs: int, latent: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, 3, 1, latent, even=False)
        self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.modulated_conv(x, style) + self.bias


class Start(nn.Module):
    """What every drawing begins with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, channels, SMALLEST, SMALLEST))


class Noises(nn.Module):
    """One picture of noise for the first convolution, and two for each larger size. They are in
    the weights, and the same for every face."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        sides = [SMALLEST << -(-index // 2) for index in range(2 * levels - 1)]
        for index, side in enumerate(sides):
            self.register_buffer(f"noise{index}", torch.empty(1, 1, side, side))

    def __getitem__(self, index: int) -> Tensor:
        return self.get_buffer(f"noise{index}")


class Drawer(nn.Module):
    """Styles (B, 3 + 2 * n, latent) and, for each of n sizes, what half of the features are
    multiplied by and what is added -> (B, 3, S, S)."""

    def __init__(self, channels: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.constant_input = Start(channels[0])
        self.style_conv1 = StyleConv(channels[0], channels[0], latent)
        self.to_rgb1 = ToColours(channels[0], latent)
        convolutions = []
        for inputs, outputs in zip(channels, channels[1:]):
            convolutions += [
                StyleConv(inputs, outputs, latent),
                StyleConv(outputs, outputs, latent),
            ]
        self.style_convs = nn.ModuleList(convolutions)
        self.to_rgbs = nn.ModuleList(ToColours(number, latent) for number in channels[1:])
        self.noises = Noises(len(channels))

    def forward(self, styles: Tensor, conditions: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        start = self.constant_input.weight.expand(len(styles), -1, -1, -1)
        x = self.style_conv1(start, styles[:, 0], self.noises[0])
        drawn = self.to_rgb1(x, styles[:, 1])
        for level, (scale, shift) in enumerate(conditions):
            first, second = self.style_convs[2 * level], self.style_convs[2 * level + 1]
            at = 2 * level + 1
            x = first(scaled(x, 2), styles[:, at], self.noises[at])
            same, led = x.chunk(2, 1)
            x = torch.cat([same, led * scale + shift], 1)
            x = second(x, styles[:, at + 1], self.noises[at + 1])
            drawn = scaled(drawn, 2) + self.to_rgbs[level](x, styles[:, at + 2])
        return drawn


def condition(channels: int) -> nn.Sequential:
    first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
    return nn.Sequential(first, nn.LeakyReLU(SLOPE), second)


class Restorer(nn.Module):
    """(B, 3, S, S) in -1..1 -> the same face, sharp. channels: of the drawing, from SMALLEST pixels
    to S; what sees the face has half as many."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS, latent: int = LATENT) -> None:
        super().__init__()
        seen = [number // 2 for number in channels]
        pairs = list(zip(seen, seen[1:]))
        self.latent = latent
        self.conv_body_first = nn.Conv2d(3, seen[-1], 1)
        self.conv_body_down = nn.ModuleList(Block(b, a, 0.5) for a, b in reversed(pairs))
        self.final_conv = nn.Conv2d(seen[0], seen[0], 3, padding=1)
        self.conv_body_up = nn.ModuleList(Block(a, b, 2) for a, b in pairs)
        self.final_linear = nn.Linear(seen[0] * SMALLEST**2, 2 * len(channels) * latent)
        self.stylegan_decoder = Drawer(channels, latent)
        self.condition_scale, self.condition_shift = (
            nn.ModuleList(condition(number) for number in seen[1:]) for _ in range(2)
        )

    def forward(self, faces: Tensor) -> Tensor:
        x, levels = leaky(self.conv_body_first(faces)), []
        for block in self.conv_body_down:
            x = block(x)
            levels.append(x)
        x = leaky(self.final_conv(x))
        styles = self.final_linear(x.flatten(1)).unflatten(1, (-1, self.latent))
        return self.stylegan_decoder(styles, self._conditions(x, levels))

    def _conditions(self, x: Tensor, levels: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        nets = zip(self.conv_body_up, self.condition_scale, self.condition_shift)
        for (up, scale, shift), level in zip(nets, reversed(levels)):
            x = up(x + level)
            yield scale(x), shift(x)
