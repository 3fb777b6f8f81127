"""Make the numbers of what is heard that the tests compare with, by running upstream's code.

    python speech_golden.py --upstream PATH --output golden

PATH is a checkout of https://github.com/fudan-generative-vision/hallo2 at `COMMIT`. Needs torch,
einops and transformers 4.52: with later ones, upstream's class gives no hidden states.
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import speech_case as case
import torch
from filling import fill
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

COMMIT = "58a9aa6c9f66817a6e084f3874cfc01ac24fed3e"
FILES = (
    "hallo/datasets/audio_processor.py", "hallo/models/wav2vec.py", "scripts/inference_long.py",
)  # fmt: skip
ABSENT = {
    "librosa": (), "audio_separator": (), "audio_separator.separator": ("Separator",),
    "hallo.utils.util": ("resample_audio",), "hallo.datasets": (), "hallo.utils": (),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    checkout = chosen.upstream.resolve()
    hashes = {name: hashlib.sha256((checkout / name).read_bytes()).hexdigest() for name in FILES}
    made = {name: heard(checkout, name) for name in case.SECONDS}
    origin = json.dumps({"commit": COMMIT, "sha256": hashes})
    path = chosen.output / "speech.npz"
    np.savez_compressed(path, origin=np.array(origin), **made)
    assert path.stat().st_size < 200_000, path.stat().st_size


def heard(checkout: Path, name: str) -> np.ndarray:
    """Of the frames that are compared: [n, 5, 12, 32]; with how many there are."""
    processor, windows = upstream(checkout)
    step = 60 * case.RATE
    samples = case.sound(name)
    parts = [samples[at : at + step] for at in range(0, len(samples), step)]
    states, done = [], 0
    for number, part in enumerate(parts, 1):
        sys.modules["librosa"].load = functools.partial(read, part)  # type: ignore[attr-defined]
        made, length = processor.preprocess(
            "", case.CLIP, padding=number == len(parts), processed_length=done
        )
        states.append(made)
        done += length
    whole = windows(torch.cat(states))
    assert len(whole) % case.CLIP == 0
    assert len(whole) == max(case.SEEN[name]) + 1
    return np.asarray(whole[case.SEEN[name]])


def read(samples: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, int]:
    """In the place of librosa's."""
    return samples, case.RATE


def upstream(checkout: Path) -> tuple[Any, Any]:
    """Its processor, on the small network and without a separator; and what makes windows."""
    for module, members in ABSENT.items():
        sys.modules[module] = types.ModuleType(module)
        for member in members:
            setattr(sys.modules[module], member, None)
    sys.path.insert(0, str(checkout))
    space: dict[str, Any] = {"__name__": "upstream", "torch": torch}
    exec(compile((checkout / FILES[0]).read_text(), FILES[0], "exec"), space)
    script = ast.parse((checkout / FILES[2]).read_text())
    wanted = [n for n in script.body if getattr(n, "name", "") == "process_audio_emb"]
    exec(compile(ast.Module(wanted, []), FILES[2], "exec"), space)
    from hallo.models.wav2vec import Wav2VecModel

    network = Wav2VecModel(Wav2Vec2Config(**case.SIZES))
    fill(network)
    processor = space["AudioProcessor"].__new__(space["AudioProcessor"])
    processor.__dict__.update(
        sample_rate=case.RATE, fps=25, device="cpu", audio_encoder=network.eval(),
        only_last_features=False, audio_separator=None,
        wav2vec_feature_extractor=Wav2Vec2FeatureExtractor(**case.EXTRACTOR),
    )  # fmt: skip
    return processor, space["process_audio_emb"]


if __name__ == "__main__":
    main()
