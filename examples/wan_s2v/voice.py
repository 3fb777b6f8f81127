"""What wav2vec2 hears of a speech, for every frame of a video."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from cvl_inside.avatar import RATE
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

HOP, REACH = 320, 400
"""Samples from one feature to the next, and samples that a feature is made of."""
FEATURES_PER_S = RATE / HOP
STEPS_PER_S = 30
"""The model was trained on features at this rate, of which it took the nearest to each frame."""
ONCE, PART, AROUND = 4500, 3000, 250
"""Features that are made at once (90 s); of a longer speech so many at a time (60 s), with so many
before and after (5 s), since they need memory by the square of their number."""


class Listener:
    """wav2vec2 with the hidden states of all of its layers, in full precision."""

    def __init__(self, folder: str, device: str) -> None:
        self.processor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        self.model = Wav2Vec2Model.from_pretrained(folder, dtype=torch.float32).eval()
        self.device = device

    @torch.inference_mode()
    def frames(self, samples: np.ndarray, count: int, fps: int, before: int) -> torch.Tensor:
        """[layers, channels, before + count]: for `count` frames, and the first one `before`
        times. What is after the end of the speech is zeros, as in training."""
        whole = self.processor(samples, sampling_rate=RATE, return_tensors="pt").input_values[0]
        total = feature_count(len(whole))
        at = positions(count, fps, total)
        heard = torch.zeros(count, *self._shape())
        self.model.to(self.device)
        for begin, low, part in self._parts(whole, total):
            end = begin + (total if total <= ONCE else PART)
            for frame in np.flatnonzero((at >= begin) & (at < end)):
                first = int(at[frame]) - low
                second = min(first + 1, part.shape[1] - 1)
                heard[frame] = torch.lerp(
                    part[:, first], part[:, second], float(at[frame] - int(at[frame]))
                )
        self.model.to("cpu")
        lead = heard[:1].expand(before, *heard.shape[1:])
        return torch.cat([lead, heard]).permute(1, 2, 0).contiguous()

    def _shape(self) -> tuple[int, int]:
        config = self.model.config
        return config.num_hidden_layers + 1, config.hidden_size

    def _parts(self, whole: torch.Tensor, total: int) -> Iterator[tuple[int, int, torch.Tensor]]:
        """(first that counts, first that is there, [layers, features, channels])."""
        for begin in range(0, total, total if total <= ONCE else PART):
            low = max(0, begin - AROUND) if begin else 0
            high = total if total <= ONCE else min(total, begin + PART + AROUND)
            samples = whole[low * HOP : (high - 1) * HOP + REACH]
            states = self.model(samples[None].to(self.device), output_hidden_states=True)
            yield begin, low, torch.cat(states.hidden_states).cpu()


def feature_count(samples: int) -> int:
    return (samples - REACH) // HOP + 1


def positions(count: int, fps: int, total: int) -> np.ndarray:
    """Where each of `count` frames is among `total` features, as a fraction; NaN after the end.

    The features are stretched to STEPS_PER_S, ends on ends, and of these the nearest is taken.
    """
    steps = int(total / FEATURES_PER_S * STEPS_PER_S)
    nearest = np.round(np.arange(count) * STEPS_PER_S / fps)
    at = nearest * (total - 1) / max(1, steps - 1)
    return np.where(nearest < steps, at, math.nan)
