"""What is heard in every frame: the states of wav2vec 2.0's layers, at the video's frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

RATE = 16000
"""Samples a second, of one channel."""
FPS = 25
HOP = RATE // FPS
PART_S = 60
"""Seconds that are heard at once: upstream cuts long speech in the same way, and each part is
brought to the same loudness by itself."""
AROUND = 2
"""Frames before and after, that a frame hears too."""
SHORTEST = 400
"""Samples that one state is made of."""


class Heard:
    """Of each frame what it hears, as a tensor [frames, 5, layers, width] that is made clip by
    clip: however long the speech is, one part of a minute is there at a time.

    spoken: frames of the speech itself; what follows fills the last clip, and is of silence.
    """

    def __init__(self, listener: Listener, samples: np.ndarray, clip: int) -> None:
        step = PART_S * RATE
        parts = [samples[at : at + step] for at in range(0, len(samples), step)]
        counts = [frame_count(len(part)) for part in parts]
        self.spoken = sum(counts)
        self._more = -self.spoken % clip
        self._listener, self._parts, self._counts = listener, parts, counts
        self.shape = (self.spoken + self._more, 2 * AROUND + 1, *listener.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def split(self, frames: int) -> Iterator[Tensor]:
        """[frames, 5, layers, width] on the CPU, from the first to the last."""
        coming = self._with_ends()
        near = next(coming)
        for _ in range(0, len(self), frames):
            while len(near) < frames + 2 * AROUND:
                near = torch.cat([near, next(coming)])
            windows = near[: frames + 2 * AROUND].unfold(0, 2 * AROUND + 1, 1)
            yield windows.permute(0, 3, 1, 2)
            near = near[frames:]

    def _with_ends(self) -> Iterator[Tensor]:
        """All states, the first and the last of them repeated for the frames at the ends."""
        last = torch.empty(0)
        for number, states in enumerate(self._states()):
            if number == 0:
                yield states[:1].expand(AROUND, -1, -1)
            last = states[-1:]
            yield states
        yield last.expand(AROUND, -1, -1)

    def _states(self) -> Iterator[Tensor]:
        """[frames, layers, width] of each part."""
        for number, (part, count) in enumerate(zip(self._parts, self._counts), 1):
            more = self._more if number == len(self._parts) else 0
            yield self._listener.states(part, count + more, more * HOP)


class Listener:
    """wav2vec2-base-960h, or another of its kind, from a folder as of transformers."""

    def __init__(self, folder: str | Path, device: torch.device | str = "cpu") -> None:
        self._level = Wav2Vec2FeatureExtractor.from_pretrained(str(folder))
        network, found = Wav2Vec2ForCTC.from_pretrained(
            str(folder), dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        wrong = sorted([*found["missing_keys"], *found["unexpected_keys"]])
        if wrong:
            raise RuntimeError(f"{folder} has other tensors than wav2vec 2.0: {', '.join(wrong)}")
        self._network = network.wav2vec2.eval().requires_grad_(False)
        self._device = device
        config = network.config
        self.shape = (int(config.num_hidden_layers), int(config.hidden_size))

    def heard(self, samples: np.ndarray, clip: int) -> Heard:
        """samples: float32 [n] at RATE; clip: frames that are made at once."""
        return Heard(self, samples, clip)

    @torch.inference_mode()
    def states(self, samples: np.ndarray, frames: int, silence: int = 0) -> Tensor:
        """[frames, layers, width] on the CPU, of all layers but the first.

        The features of the sound are stretched to the frames before the layers see them, as the
        model was trained. silence: samples of it that follow, once the loudness is set.
        """
        level = self._level(samples, sampling_rate=RATE, return_tensors="pt").input_values
        level = F.pad(level, (0, max(silence, SHORTEST - level.shape[1])))
        network = self._network.to(self._device)
        features = network.feature_extractor(level.to(self._device))
        features = F.interpolate(features, size=frames, mode="linear", align_corners=True)
        states: list[Tensor] = []
        hooks = [
            layer.register_forward_hook(lambda _layer, _given, made: states.append(made[0]))
            for layer in network.encoder.layers
        ]
        try:
            network.encoder(network.feature_projection(features.transpose(1, 2))[0])
        finally:
            for hook in hooks:
                hook.remove()
            self._network.to("cpu")
        return torch.stack(states, dim=1).cpu()


def frame_count(samples: int) -> int:
    """Frames that a sound fills, the last of them perhaps in part."""
    return math.ceil(samples * FPS / RATE)
