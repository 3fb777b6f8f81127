"""The movement of the head, from the voice and a style: a conditional VAE's decoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sadtalker.residual_unet import ResidualUnet
from sadtalker.voice_encoder import WIDTH, encode, voice_encoder

STYLES = 46
LATENT = 64
WINDOW = 32  # frames that are made at once
SIZE = 6  # three angles, three of shift
VOICE = 6  # numbers of the voice per frame
HIDDEN = (128, 192)
Tensor = torch.Tensor


class PoseDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resunet = ResidualUnet()
        self.MLP = nn.Sequential()
        self.MLP.add_module("L0", nn.Linear(LATENT + WINDOW * VOICE + SIZE, HIDDEN[0]))
        self.MLP.add_module("A0", nn.ReLU())
        self.MLP.add_module("L1", nn.Linear(*HIDDEN))
        self.MLP.add_module("sigmoid", nn.Sigmoid())
        self.pose_linear = nn.Linear(SIZE, SIZE)
        self.linear_audio = nn.Linear(WIDTH, VOICE)
        self.classbias = nn.Parameter(torch.zeros(STYLES, LATENT))

    def forward(self, noise: Tensor, voice: Tensor, reference: Tensor, style: int) -> Tensor:
        """(64,), (32, 512), (6,) -> (32, 6), relative to the reference."""
        heard = self.linear_audio(voice).flatten()
        known = torch.cat([reference, noise + self.classbias[style], heard])
        drawn = self.MLP(known).view(1, 1, WINDOW, SIZE)
        return self.pose_linear(self.resunet(drawn))[0, 0]


class Voice(nn.Module):
    """Named so that the encoder's weights have their official names, as is the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = voice_encoder()

    def forward(self, windows: Tensor) -> Tensor:
        return encode(self.audio_encoder, windows)


class PoseGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = PoseDecoder()


class PoseNet(nn.Module):
    """The parts of audio2pose that make a pose; its encoder and discriminator only trained it."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = Voice()
        self.netG = PoseGenerator()

    def forward(
        self, heard: Callable[[int, int], Tensor], frames: int, reference: Tensor, style: int,
        noise: Tensor,
    ) -> Tensor:  # fmt: skip
        """What frames a..b-1 hear (b-a, 80, 16), how many frames there are, the head at rest (6,),
        noise (parts(frames), 64) -> (frames, 6).

        The first frame is the head at rest; the others are made 32 at a time, the last of them
        from what the last 32 frames hear.
        """
        made = [reference.new_zeros(1, SIZE)]
        for index in range(parts(frames)):
            first, last = 1 + index * WINDOW, min(1 + (index + 1) * WINDOW, frames)
            voice = self.audio_encoder(heard(max(last - WINDOW, 1), last))
            voice = torch.cat([voice[:1].expand(WINDOW - len(voice), -1), voice])
            poses = self.netG.decoder(noise[index], voice, reference, style)
            made.append(poses[first - last :])
        return reference + torch.cat(made)


def parts(frames: int) -> int:
    """How many windows the movement of so many frames is made in."""
    return -((1 - frames) // WINDOW)
