"""What a predict.py is run with in this process, and what comes of it."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cvl_inside.events import Events
from cvl_inside.predictor import Context
from cvl_inside.runtime import Runtime
from PIL import Image


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
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        runtime = Runtime("cpu", self.dtype, self.offload, self.seed)
        request = {"outputs": {"video": self.output_path}, "weights": self.weights}
        super().__init__(request, Events(None), runtime)

    def progress(self, done: float, total: float, unit: str = "steps") -> None:
        self.done.append((done, total))

    def metric(self, name: str, value: float, unit: str = "") -> None:
        self.metrics[name] = value

    def warning(self, message: str) -> None:
        self.warnings.append(message)


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


def picture(folder: Path, kind: str, portrait: Path) -> str:
    """A file of a kind that cannot speak; or, when it is a pair, of two who can."""
    path = folder / f"{kind}.png"
    with Image.open(portrait) as opened:
        person = opened.convert("RGB")
    if kind == "pair":
        both = Image.new("RGB", (person.width * 2, person.height))
        both.paste(person, (0, 0))
        both.paste(person, (person.width, 0))
        both.save(path)
    elif kind == "huge":
        person.save(path)
        path.write_bytes(resized(path.read_bytes(), 20000, 20000))
    else:
        nobody = {"none": (400, 400), "tiny": (40, 40), "long": (9000, 70)}
        Image.new("RGB", nobody[kind], "olive").save(path)
    return str(path)


def resized(png: bytes, width: int, height: int) -> bytes:
    """Only its header says so: it is refused before there are so many pixels."""
    header = png[12:16] + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
