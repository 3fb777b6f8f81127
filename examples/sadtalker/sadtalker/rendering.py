"""From coefficients to frames, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from sadtalker import turns
from sadtalker.generator import Generator
from sadtalker.keypoints import KeypointDetector
from sadtalker.mapping import RADIUS, WINDOW, MappingNet, moved
from sadtalker.options import Options

Tensor = torch.Tensor


@dataclass(frozen=True)
class Renderer:
    generator: Generator
    keypoints: KeypointDetector
    mapping: MappingNet

    def frames(
        self, part: np.ndarray, face: np.ndarray, track: np.ndarray, options: Options
    ) -> Iterator[np.ndarray]:
        """(S, S, 3) bytes, its coefficients (73,) and those of all frames (T, C) -> (S, S, 3)
        bytes for each. What is held does not grow with their number."""
        device = next(self.generator.parameters()).device
        picture = torch.from_numpy(part).to(device).permute(2, 0, 1)[None].float() / 255
        canonical = self.keypoints(picture)
        at_rest = torch.from_numpy(face[: track.shape[1]].astype(np.float32)).to(device)
        source = moved(canonical, self.mapping(at_rest[None, :, None].expand(-1, -1, WINDOW)))
        scene = self.generator.scene(picture, source)
        turned = _turned(options, len(track))
        for first in range(0, len(track), options.batch):
            last = min(first + options.batch, len(track))
            motion = self.mapping(torch.from_numpy(windows(track, first, last)).to(device))
            angles = {n: torch.from_numpy(t[first:last]).to(device) for n, t in turned.items()}
            made = self.generator(scene, moved(canonical, motion._replace(**angles)))
            yield from _bytes(made)


def _turned(options: Options, frames: int) -> dict[str, np.ndarray]:
    given = {"yaw": options.yaw, "pitch": options.pitch, "roll": options.roll}
    return {name: turns.track(angles, frames) for name, angles in given.items() if angles}


def windows(track: np.ndarray, first: int, last: int) -> np.ndarray:
    """What is round each of the frames first..last-1 of (T, C): (n, C, 27)."""
    rows = np.arange(first, last)[:, None] + np.arange(-RADIUS, RADIUS + 1)
    seen = track[np.clip(rows, 0, len(track) - 1)]
    return np.ascontiguousarray(seen.transpose(0, 2, 1), np.float32)


def _bytes(frames: Tensor) -> np.ndarray:
    whole = (frames * 255).round().clamp(0, 255).to(torch.uint8)
    return whole.permute(0, 2, 3, 1).cpu().numpy()
