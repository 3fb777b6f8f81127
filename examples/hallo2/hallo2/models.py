"""Small networks in ONNX files, on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

QUIET = 3


class Model:
    """Takes one array. Raises FileNotFoundError where there is no such file."""

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} is not there")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = QUIET
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        (self._input,) = self._session.get_inputs()

    @property
    def shape(self) -> list[int]:
        """Of what it takes; names stand for sides of any length."""
        return list(self._input.shape)

    def __call__(self, array: np.ndarray) -> list[np.ndarray]:
        """All that it gives, in the order of the file."""
        made: list[np.ndarray] = self._session.run(None, {self._input.name: array})
        return made
