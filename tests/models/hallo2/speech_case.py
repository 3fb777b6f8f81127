"""The small wav2vec 2.0 and the sounds that upstream's numbers and ours are compared on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
sys.path[:0] = [str(HERE.parents[2] / "examples" / "hallo2"), str(HERE.parent)]

from filling import filled  # noqa: E402

CLIP, RATE = 16, 16000
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 12, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": (16,) * 7, "vocab_size": 32, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
EXTRACTOR: dict[str, Any] = {
    "feature_size": 1, "sampling_rate": RATE, "padding_value": 0.0, "do_normalize": True,
    "return_attention_mask": False,
}  # fmt: skip
SECONDS = {"short": 1.51, "whole": 0.64, "parts": 62.31}
"""The second fills its clip exactly; the last is heard in two parts."""
SEEN = {
    "short": [*range(48)],
    "whole": [*range(16)],
    "parts": [0, 1, 777, *range(1496, 1504), *range(1555, 1568)],
}
"""Frames that are compared: those at the ends, and where the parts meet."""


def sound(name: str) -> np.ndarray:
    """float32 [n], of a loudness that changes."""
    count = int(SECONDS[name] * RATE)
    noise = filled(f"sound {name}", (count,), 0.2).numpy()
    return np.asarray(noise * (1 + np.sin(np.arange(count) / 4000)), np.float32)
