"""Make the numbers of a separated voice that the tests compare with, by running audio-separator.

    python speech_voice_golden.py --separator PATH --output golden

PATH is the unpacked wheel of audio-separator 0.47.1, of the package that upstream separates with.
Needs torch, onnxruntime, onnx and tqdm.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import logging
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import onnxruntime
import speech_voice as case
import torch

FILES = ("architectures/mdx_separator.py", "uvr_lib_v5/stft.py")
ABSENT = {
    "onnx2torch": {}, "audio_separator.separator.uvr_lib_v5.spec_utils": {},
    "audio_separator.separator.common_separator": {"CommonSeparator": object},
    "audio_separator.separator.uvr_lib_v5.device_utils": {
        "should_fallback_to_cpu_for_complex_ops": lambda _device: False
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--separator", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    root = chosen.separator / "audio_separator" / "separator"
    hashes = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in FILES}
    packages = ("audio_separator", "audio_separator.separator")
    for package in (*packages, *(f"{packages[1]}.{n}" for n in ("architectures", "uvr_lib_v5"))):
        module = sys.modules[package] = types.ModuleType(package)
        module.__path__ = [str(chosen.separator / package.replace(".", "/"))]
    for name, members in ABSENT.items():
        module = sys.modules[name] = types.ModuleType(name)
        module.__dict__.update(members)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    made = {f"{seconds}": separated(seconds)[case.seen(seconds)] for seconds in case.SECONDS}
    origin = json.dumps({"audio-separator": "0.47.1", "sha256": hashes})
    np.savez_compressed(chosen.output / "speech_voice.npz", origin=np.array(origin), **made)


def separated(seconds: float) -> np.ndarray:
    """[n, 2], with the settings that the package has for Kim_Vocal_2."""
    mdx = importlib.import_module("audio_separator.separator.architectures.mdx_separator")
    separator = mdx.MDXSeparator.__new__(mdx.MDXSeparator)
    with tempfile.TemporaryDirectory() as folder:
        session = onnxruntime.InferenceSession(str(case.network(Path(folder))))
    separator.__dict__.update(
        logger=logging.getLogger("quiet"), hop_length=1024, segment_size=256, overlap=0.25,
        batch_size=1, n_fft=7680, dim_f=3072, torch_device=torch.device("cpu"),
        enable_denoise=False,
        model_run=lambda shown: session.run(None, {"input": shown.numpy()})[0],
    )  # fmt: skip
    return np.asarray(separator.demix(case.mix(seconds).T.copy()).T)


if __name__ == "__main__":
    main()
