"""What a predict.py is run with in this process, and what comes of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cvl_inside.events import Events
from cvl_inside.predictor import Context
from cvl_inside.runtime import Runtime


@dataclass
class Told(Context):
    """A context that remembers what was said to it."""

    weights: dict[str, str]
    output_path: str
    offload: str = "none"
    seed: int = 1
    dtype: str = "fp32"
    done: list[tuple[float, float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        runtime = Runtime("cpu", self.dtype, self.offload, self.seed)
        request = {"outputs": {"video": self.output_path}, "weights": self.weights}
        super().__init__(request, Events(None), runtime)

    def progress(self, done: float, total: float, unit: str = "steps") -> None:
        self.done.append((done, total))

    def metric(self, name: str, value: float, unit: str = "") -> None:
        self.metrics[name] = value


@dataclass(frozen=True)
class Made:
    """A video that was made: its bytes, its frames, and what was told while it was."""

    content: bytes
    frames: np.ndarray  # type: ignore[type-arg]
    fps: float
    seconds: float
    sound_s: float
    ctx: Told


def made(path: Path, ctx: Told) -> Made:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)]
    streams = json.loads(subprocess.check_output(command))["streams"]
    video, sound = streams
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = np.frombuffer(subprocess.check_output(command), np.uint8)
    frames = raw.reshape(-1, video["height"], video["width"], 3).astype(np.int16)
    up, down = map(int, video["r_frame_rate"].split("/"))
    seconds = (float(video["duration"]), float(sound["duration"]))
    return Made(path.read_bytes(), frames, up / down, *seconds, ctx)


def sound(path: Path, source: str, *options: str) -> Path:
    """A file of what ffmpeg's own generators give."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *options, str(path)]
    subprocess.run(command, check=True)
    return path
