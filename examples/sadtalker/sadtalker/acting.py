"""From speech to what the face does: one row of coefficients per frame."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch

from sadtalker import pose, voice
from sadtalker.blinks import blinks
from sadtalker.expression import SIZE as EXPRESSION
from sadtalker.expression import ExpressionNet
from sadtalker.options import Options
from sadtalker.pose import PoseNet
from sadtalker.reading import MOVING
from sadtalker.smoothing import smooth

AT_ONCE = 32  # frames whose expression is made together


@dataclass(frozen=True)
class Examples:
    """Coefficients (N, 73) of other videos, by frame: whose eyes and whose head are followed."""

    eyes: np.ndarray | None = None
    head: np.ndarray | None = None


@dataclass(frozen=True)
class Chance:
    """What is not decided by the speech: how far the eyes are shut (T, 1), and of the head's
    movement, noise (parts(T), 64)."""

    blinks: np.ndarray
    noise: torch.Tensor

    @classmethod
    def drawn(cls, frames: int, seed: int) -> Chance:
        # On the CPU, so that a seed means the same on every device.
        stream = torch.Generator().manual_seed(seed)
        noise = torch.randn(pose.parts(frames), pose.LATENT, generator=stream)
        return cls(blinks(frames, random.Random(seed)), noise)


@dataclass(frozen=True)
class Actor:
    expression: ExpressionNet
    pose: PoseNet

    def play(
        self, mel: np.ndarray, face: np.ndarray, options: Options, examples: Examples,
        chance: Chance,
    ) -> np.ndarray:  # fmt: skip
        """A mel spectrogram and the face's coefficients (73,) -> (T, 70) or, where the result is
        pasted back, (T, 73)."""
        expression = self._expressions(mel, face, examples, chance.blinks)
        frames = len(expression)
        head = smooth(self._heads(mel, frames, face, options.pose_style, chance.noise))
        if examples.head is not None:
            followed = looped(examples.head[:, EXPRESSION:MOVING], frames)
            head = head + (followed - followed[:1])
        track = np.concatenate([expression * np.float32(options.expression_scale), head], 1)
        if options.pastes:
            track = np.concatenate([track, np.tile(face[MOVING:], (frames, 1))], 1)
        if options.still:
            track[:, EXPRESSION:] = face[EXPRESSION : track.shape[1]]
        return track

    def _expressions(
        self, mel: np.ndarray, face: np.ndarray, examples: Examples, shut: np.ndarray
    ) -> np.ndarray:
        device = next(self.expression.parameters()).device
        frames = len(shut)
        rest = np.tile(face[:EXPRESSION], (frames, 1))
        if examples.eyes is not None:
            rest, shut = looped(examples.eyes[:, :EXPRESSION], frames), np.zeros_like(shut)
        made = []
        for first in range(0, frames, AT_ONCE):
            last = min(first + AT_ONCE, frames)
            parts = (voice.windows(mel, first, last), rest[first:last], shut[first:last])
            given = (torch.from_numpy(part).to(device) for part in parts)
            made.append(self.expression(*given).cpu().numpy())
        return np.concatenate(made)

    def _heads(
        self, mel: np.ndarray, frames: int, face: np.ndarray, style: int, noise: torch.Tensor
    ) -> np.ndarray:
        device = next(self.pose.parameters()).device
        reference = torch.from_numpy(face[EXPRESSION:MOVING]).to(device)

        def heard(first: int, last: int) -> torch.Tensor:
            return torch.from_numpy(voice.windows(mel, first, last)).to(device)

        return self.pose(heard, frames, reference, style, noise.to(device)).cpu().numpy()


def looped(rows: np.ndarray, frames: int) -> np.ndarray:
    """The first `frames` rows, from the start again where there are not as many."""
    return rows[np.arange(frames) % len(rows)]
