"""The one curve that every soft edge and every eased motion is made of."""

from __future__ import annotations

from typing import Any

import numpy as np


def ramp(value: Any, start: Any, end: Any) -> np.ndarray:
    """0 before `start`, 1 after `end`, smooth between; works in both directions."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)
