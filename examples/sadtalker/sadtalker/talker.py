"""The whole way from a picture and speech to frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from sadtalker import voice
from sadtalker.acting import Actor, Chance, Examples
from sadtalker.enhancing import Enhancer
from sadtalker.options import Options
from sadtalker.pasting import paste
from sadtalker.reading import Face, Reader
from sadtalker.rendering import Renderer

EXAMPLE = 256  # pixels that a face is looked at with whose movement is followed


@dataclass(frozen=True)
class Talker:
    reader: Reader
    actor: Actor
    renderer: Renderer
    enhancer: Enhancer | None = None

    @torch.inference_mode()
    def face(self, picture: np.ndarray, options: Options) -> Face:
        """Of (H, W, 3) red-green-blue bytes. Raises NoFace."""
        return self.reader.face(picture, options.preprocess, options.size)

    @torch.inference_mode()
    def example(self, frames: Iterable[np.ndarray], options: Options) -> np.ndarray:
        """(N, 73): what a face does in other frames, which are all cut as the first is. Where it is
        lost, it is looked for where it was."""
        framing, points, found = None, None, []
        for frame in frames:
            framing = framing or self.reader.framing(frame, options.preprocess)
            part = cv2.resize(framing.cut(frame), (EXAMPLE, EXAMPLE))
            seen = self.reader.points(part)
            points = points if seen is None else seen
            found.append(self.reader.coefficients(part, points))
        return np.stack(found)

    @torch.inference_mode()
    def track(
        self, wave: np.ndarray, face: Face, options: Options, examples: Examples, seed: int
    ) -> np.ndarray:
        """(N,) speech at 16 kHz, at least a frame of it -> (T, 70 or 73) coefficients at 25 frames
        per second."""
        frames = voice.frames_of(len(wave))
        wave = wave[: int(frames * (voice.RATE / voice.FPS))]
        mel = voice.mel_spectrogram(wave)
        chance = Chance.drawn(frames, seed)
        return self.actor.play(mel, face.coefficients, options, examples, chance)

    @torch.inference_mode()
    def frames(
        self, picture: np.ndarray, face: Face, track: np.ndarray, options: Options
    ) -> Iterator[np.ndarray]:
        """(H, W, 3) red-green-blue bytes, one after the other; none is kept."""
        for frame in self.renderer.frames(face.part, face.coefficients, track, options):
            made = finished(frame, picture, face, options)
            yield self.enhancer.enhance(made) if self.enhancer else made


def finished(frame: np.ndarray, picture: np.ndarray, face: Face, options: Options) -> np.ndarray:
    """A rendered frame in the shape of what was cut out, or pasted back into the picture."""
    if options.pastes:
        height, width = picture.shape[:2]
        return paste(picture, frame, face.framing.box_in(width, height))
    left, top, right, bottom = face.framing.box
    height = int(options.size * (bottom - top) / (right - left))
    return cv2.resize(frame, (options.size, max(2, height)))
