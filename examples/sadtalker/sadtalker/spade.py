"""The decoder of the renderer: normalization whose strength and shift come from the features."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sadtalker.blocks import SpectralConv, enlarged
from sadtalker.repeated import RepeatedConv

Tensor = torch.Tensor
SLOPE = 0.2


class Spade(nn.Module):
    """`scale`: how much larger its output is than the features; `stretch`: than its input."""

    def __init__(self, channels: int, features: int, hidden: int, scale: int, stretch: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(features, hidden, 3, padding=1)
        self.mlp_shared: nn.Module = nn.Sequential(convolution, nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)
        self.channels, self.scale, self.stretch = channels, scale, stretch
        self.strength_and_shift: nn.Conv2d | None = None
        self.through: nn.Conv2d | None = None

    def forward(self, normal: Tensor, features: Tensor) -> Tensor:
        """(B, C, H, W) normalized, (B, F, h, w) -> (B, C, h*scale, w*scale)."""
        strength, shift = self._style(features)
        if self.stretch > 1:  # pixels are repeated by broadcasting, not in memory
            normal = normal[:, :, :, None, :, None]
        if self.through is None:
            self._cells(shift).addcmul_(self._cells(strength), normal)
            return shift
        self._cells(strength).mul_(normal)
        return shift.add_(self.through(strength))

    def _cells(self, x: Tensor) -> Tensor:
        """A view (B, C, H, stretch, W, stretch) of what has the size of the output."""
        if self.stretch == 1:
            return x
        return x.unflatten(3, (-1, self.stretch)).unflatten(2, (-1, self.stretch))

    def _style(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if self.strength_and_shift is not None:
            both = self.strength_and_shift(functional.relu_(self.mlp_shared(features)))
            return both[:, : self.channels], both[:, self.channels :]
        shared = self.mlp_shared(enlarged(features, self.scale))
        return self.mlp_gamma(shared) + 1, self.mlp_beta(shared)

    def fold(self) -> None:
        """One convolution gives both; the hidden layer is not enlarged before it is convolved.

        `through`, where it was set, is a 1x1 convolution that comes after: the shift is made as it
        is behind that, which has fewer channels.
        """
        hidden = self.mlp_shared[0]
        self.mlp_shared = hidden if self.scale == 1 else RepeatedConv(hidden, self.scale)
        shift, offset = self.mlp_beta.weight.detach(), self.mlp_beta.bias.detach()
        if self.through is not None:
            after = self.through.weight[:, :, 0, 0]
            shift, offset = torch.einsum("oc,cihw->oihw", after, shift), after @ offset
        weight = torch.cat([self.mlp_gamma.weight.detach(), shift])
        bias = torch.cat([self.mlp_gamma.bias.detach() + 1, offset])
        with torch.device("meta"):
            both = nn.Conv2d(weight.shape[1], len(weight), 3, padding=1)
        both.weight = nn.Parameter(weight, requires_grad=False)
        both.bias = nn.Parameter(bias, requires_grad=False)
        self.strength_and_shift = both
        del self.mlp_gamma, self.mlp_beta


class SpadeBlock(nn.Module):
    """Two convolutions of normalized features, and a way round them.

    `stretch` 2: the input is enlarged twice first. Normalizing is the same before that and after,
    so it is done where there is less to do.
    """

    def __init__(
        self, inputs: int, outputs: int, features: int, hidden: int, scale: int = 1,
        stretch: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0: nn.Module = SpectralConv(inputs, middle, 3)
        self.conv_1: nn.Module = SpectralConv(middle, outputs, 3)
        self.norm_0 = Spade(inputs, features, hidden, scale, stretch)
        self.norm_1 = Spade(middle, features, hidden, scale, 1)
        self.shortcut = inputs != outputs
        if self.shortcut:
            self.conv_s: nn.Module = SpectralConv(inputs, outputs, 1, bias=False)
            self.norm_s = Spade(inputs, features, hidden, scale, stretch)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        normal = functional.instance_norm(x)
        y = self.conv_0(functional.leaky_relu_(self.norm_0(normal, features), SLOPE))
        again = self.norm_1(functional.instance_norm(y), features)
        y = self.conv_1(functional.leaky_relu_(again, SLOPE))
        return y.add_(self.conv_s(self.norm_s(normal, features)) if self.shortcut else x)

    def fold(self) -> None:
        self.conv_0, self.conv_1 = self.conv_0.plain(), self.conv_1.plain()
        if self.shortcut:
            self.norm_s.through = self.conv_s.plain()
            self.conv_s = nn.Identity()


class Decoder(nn.Module):
    """(B, 256, h, w) -> (B, 3, 4h, 4w) red-green-blue in 0..1."""

    def __init__(self, features: int, outputs: int, hidden: int) -> None:
        super().__init__()
        wide = 2 * features
        self.fc = nn.Conv2d(features, wide, 3, padding=1)
        for index in range(6):
            self.add_module(f"G_middle_{index}", SpadeBlock(wide, wide, features, hidden))
        self.up_0 = SpadeBlock(wide, features, features, hidden, scale=2, stretch=2)
        self.up_1 = SpadeBlock(features, outputs, features, hidden, scale=4, stretch=2)
        self.conv_img = nn.Conv2d(outputs, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.fc(features)
        for index in range(6):
            x = self.get_submodule(f"G_middle_{index}")(x, features)
        x = self.up_1(self.up_0(x, features), features)
        return torch.sigmoid(self.conv_img(functional.leaky_relu_(x, SLOPE)))
