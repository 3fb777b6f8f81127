"""What is said in every frame: all states of wav2vec 2.0, at the video's 25 frames per second."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

RATE = 16000
"""Samples a second, of one channel."""
FPS = 25
HEARD_PER_S = 50
"""Vectors that wav2vec 2.0 makes of a second, by its stride; by its edges, one or two fewer."""
STEPS_PER_S = 30
"""Rate at which the model was taught to take them: frames then choose the nearest step."""
AT_ONCE = 1500
"""Vectors that the convolutions make in one go: what they need for half a minute is under 1 GB."""


class Speech:
    """wav2vec2-large-xlsr-53-english, or another of its kind, from a folder as of transformers.

    The attention sees the whole sound, as it was trained to: that is done in one piece, and takes
    memory in proportion to the length (of the states at 25 fps, 1.3 MB a second in bfloat16). The
    convolutions see 25 ms, so that they are done in pieces with the same result.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self._normalise = Wav2Vec2FeatureExtractor.from_pretrained(str(folder))
        network, found = Wav2Vec2ForCTC.from_pretrained(
            str(folder), dtype=dtype, use_safetensors=True, attn_implementation="sdpa",
            output_loading_info=True,
        )  # fmt: skip
        wrong = sorted([*found["missing_keys"], *found["unexpected_keys"]])
        if wrong:
            raise RuntimeError(f"{folder} has other tensors than wav2vec 2.0: {', '.join(wrong)}")
        self._network = network.wav2vec2.to(device).eval().requires_grad_(False)
        if not self._network.config.do_stable_layer_norm:
            raise RuntimeError(f"{folder} is a wav2vec 2.0 of another kind than the large ones")

    @torch.inference_mode()
    def features(self, samples: np.ndarray, clip: int = 48) -> Tensor:
        """[1, states, width, frames] of samples [n] at 16 kHz, in the network's dtype on the CPU.

        Frames fill whole clips, one more than the sound fills; those after its end are zeros.
        """
        states = self._states(samples)
        first = next(states)
        steps = first.shape[1] * STEPS_PER_S // HEARD_PER_S
        places = step_of_frames(steps, clip)
        spoken = places[places < steps]
        shape = len(places), self._network.config.num_hidden_layers + 1, first.shape[2]
        heard = torch.zeros(shape, dtype=first.dtype)
        heard[: len(spoken), 0] = at_steps(first, steps)[spoken].to(heard)
        for number, state in enumerate(states, 1):
            heard[: len(spoken), number] = at_steps(state, steps)[spoken].to(heard)
        return heard.permute(1, 2, 0).unsqueeze(0)

    def _states(self, samples: np.ndarray) -> Iterator[Tensor]:
        """[1, heard, width] before each layer, and after the last: normalised, that one."""
        encoder = self._network.encoder
        state, _ = self._network.feature_projection(self._convolve(samples))
        state = state + encoder.pos_conv_embed(state)
        for layer in encoder.layers:
            yield state
            state = layer(state)
        yield encoder.layer_norm(state)

    def _convolve(self, samples: np.ndarray) -> Tensor:
        """[1, heard, channels]: the samples normalised as a whole, then convolved in pieces."""
        config = self._network.config
        stride, field = prod(config.conv_stride), field_of(config)
        normal = self._normalise(samples, sampling_rate=RATE, return_tensors="pt").input_values
        pieces = []
        for start in range(0, (normal.shape[1] - field) // stride + 1, AT_ONCE):
            piece = normal[:, start * stride : (start + AT_ONCE - 1) * stride + field]
            pieces.append(self._network.feature_extractor(piece.to(self._like())))
        return torch.cat(pieces, dim=2).transpose(1, 2)

    def _like(self) -> Tensor:
        """A tensor of the network's dtype, where the network is."""
        return self._network.encoder.layer_norm.weight


def field_of(config: object) -> int:
    """Samples that one vector is made of."""
    field, stride = 1, 1
    for kernel, step in zip(config.conv_kernel, config.conv_stride):
        field, stride = field + (kernel - 1) * stride, stride * step
    return field


def at_steps(state: Tensor, steps: int) -> Tensor:
    """[steps, width] of [1, heard, width]: the first and the last stay, the others between."""
    spread = F.interpolate(
        state.float().transpose(1, 2), size=steps, mode="linear", align_corners=True
    )
    return spread[0].T


def step_of_frames(steps: int, clip: int) -> Tensor:
    """[frames] of whole clips: the nearest step of each. Those from `steps` on are past the end."""
    clips = int(steps / (clip * (STEPS_PER_S / FPS))) + 1
    frames = torch.arange(clips * clip)
    return (2 * frames * STEPS_PER_S + FPS) // (2 * FPS)
