"""The voice without what plays beside it, by Kim_Vocal_2: an MDX-Net for ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hallo2.models import Model
from torch import Tensor

RATE, CHANNELS = 44100, 2
FOURIER, HOP = 7680, 1024
"""Samples of a spectrum, and from one to the next: what the model was trained with."""
DEAF = 3
"""Lowest bins, that it is not shown."""
STEP = 0.75
"""Of a chunk to the next one; they fade into each other."""
LOUDEST = 0.9


class Separator:
    """Chunk after chunk (5.9 s): memory does not grow with the length."""

    def __init__(self, path: str | Path) -> None:
        self._model = Model(path)
        self._bins, self._times = self._model.shape[2:]
        self.chunk = HOP * (self._times - 1)

    def separate(self, mix: np.ndarray, made: np.ndarray) -> None:
        """mix: [n, 2] at RATE; the voice is written into `made`, of the same shape."""
        gain = LOUDEST / max(LOUDEST, float(np.abs(mix).max()))
        edge, step, total = FOURIER // 2, int(STEP * self.chunk), len(mix)
        whole = self.chunk - 2 * edge
        end = total + edge + whole - total % whole
        # What a chunk and those before it have made, and how much of each sample counts so far.
        sums, weights = np.zeros((self.chunk, CHANNELS)), np.zeros((self.chunk, 1))
        for start in range(-edge, total, step):
            part = self._chunk(mix, start) * gain
            fade = np.zeros((self.chunk, 1))
            fade[: end - start, 0] = np.hanning(min(self.chunk, end - start))
            sums += self._voice(part) * fade
            weights += fade
            first, done = max(0, start), min(start + step, total)
            here = slice(first - start, done - start)
            if done > first:
                made[first:done] = sums[here] / np.maximum(weights[here], 1e-8) / gain
            sums, weights = _moved(sums, step), _moved(weights, step)

    def _chunk(self, mix: np.ndarray, start: int) -> np.ndarray:
        """What there is of it, and silence before and after."""
        part = np.zeros((self.chunk, CHANNELS), np.float32)
        first, last = max(0, start), min(len(mix), start + self.chunk)
        part[first - start : last - start] = mix[first:last]
        return part

    def _voice(self, part: np.ndarray) -> np.ndarray:
        """[chunk, 2] of [chunk, 2]."""
        window = torch.hann_window(FOURIER)
        sound = torch.from_numpy(np.ascontiguousarray(part.T))
        spectrum = torch.stft(sound, FOURIER, HOP, window=window, return_complex=True)
        shown = _parts(spectrum[:, : self._bins])
        shown[:, :, :DEAF] = 0
        made = torch.from_numpy(self._model(shown.numpy())[0])
        whole = torch.zeros_like(spectrum)
        whole[:, : self._bins] = torch.complex(made[0, 0::2], made[0, 1::2])
        return torch.istft(whole, FOURIER, HOP, window=window).T.numpy()


def _parts(spectrum: Tensor) -> Tensor:
    """[1, left and right, each its real and its imaginary part, bins, times]."""
    return torch.view_as_real(spectrum).permute(0, 3, 1, 2).flatten(0, 1)[None].contiguous()


def _moved(sums: np.ndarray, step: int) -> np.ndarray:
    """By a step, and nothing where nothing was made yet."""
    return np.concatenate([sums[step:], np.zeros_like(sums[:step])])
