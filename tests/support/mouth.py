"""Measure a talking mouth in finished videos, by brightness alone.

The example that is measured finds faces with cascades and a mesh; nothing of that is used here.
A mouth is open where pixels inside a stated box are dark; a still portrait has none there.
"""

from __future__ import annotations

import math
import subprocess
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom

DARK = 42  # luma; nothing in the middle of the sample's closed mouth is as dark
RATE = 16000
PITCH = 115  # Hz, a man's voice


def probe_size(video: Path) -> tuple[int, int]:
    """Width and height of the first video stream or of a picture."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries"]
    command += ["stream=width,height", "-of", "csv=p=0:s=x", str(video)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    width, height = answer.strip().split("x")[:2]
    return int(width), int(height)


def duration(media: Path) -> float:
    """Seconds, as the container states them."""
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]
    answer = subprocess.run([*command, str(media)], check=True, capture_output=True, text=True)
    return float(answer.stdout)


def frames(video: Path, colour: str = "gray") -> np.ndarray:
    """Every frame: count x height x width luma, or x 3 for `rgb24`."""
    width, height = probe_size(video)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(video), "-f", "rawvideo"]
    command += ["-fps_mode", "passthrough", "-pix_fmt", colour, "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    shape = (-1, height, width, 3) if colour == "rgb24" else (-1, height, width)
    return np.frombuffer(raw, np.uint8).reshape(shape)


def openness(video: np.ndarray, box: Box) -> np.ndarray:
    """Rows from the first to the last dark pixel of the box's middle third, in every frame.

    Teeth are bright, so what counts is the extent and not the number of dark pixels.
    """
    left, top, right, bottom = box
    third = (right - left) // 3
    middle = video[:, top:bottom, left + third : right - third] < DARK
    return np.array([_extent(frame.sum(1) >= 2) for frame in middle])


def width(video: np.ndarray, box: Box) -> np.ndarray:
    """Columns of the box from the first to the last with three dark pixels, in every frame.

    Three, because the shadow in the corner of closed lips is up to two pixels high.
    """
    left, top, right, bottom = box
    inside = video[:, top:bottom, left:right] < DARK
    return np.array([_extent(frame.sum(0) >= 3) for frame in inside])


def _extent(present: np.ndarray) -> int:
    where = np.flatnonzero(present)
    return int(where[-1] - where[0] + 1) if len(where) else 0


def loudness(audio: Path, fps: int, count: int) -> np.ndarray:
    """Root mean square of the sound during each of `count` frames."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(audio), "-ac", "1"]
    command += ["-ar", str(RATE), "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    samples = np.frombuffer(raw, np.int16).astype(np.float64) / 32768
    edges = (np.arange(count + 1) * RATE / fps).astype(int)
    samples = np.pad(samples, (0, max(0, edges[-1] - len(samples))))
    return np.array([math.sqrt(np.mean(samples[a:b] ** 2)) for a, b in pairwise(edges)])


def best_correlation(first: np.ndarray, second: np.ndarray, reach: int) -> tuple[float, int]:
    """The highest Pearson r over shifts of at most `reach`, and the shift of `first`."""
    found = []
    for lag in range(-reach, reach + 1):
        a, b = first[max(0, lag) :], second[max(0, -lag) :]
        size = min(len(a), len(b))
        found.append((float(np.corrcoef(a[:size], b[:size])[0, 1]), lag))
    return max(found)


def vowel(path: Path, formants: tuple[float, ...], seconds: float = 0.9) -> Path:
    """A sung vowel with a rest on both sides: pulses through one resonator per formant."""
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    phase = np.cumsum(PITCH * (1 + 0.02 * np.sin(2 * np.pi * 5 * time)) / RATE)
    source = np.diff(np.floor(phase), prepend=0.0)
    for hertz in formants:
        source = _resonate(source, hertz, 60 + hertz * 0.04)
    source *= np.minimum(1, np.minimum(time, time[::-1]) / 0.05)
    source *= 0.12 / math.sqrt(np.mean(source**2))
    return write_wav(path, np.pad(source, RATE // 4))


def _resonate(signal: np.ndarray, hertz: float, bandwidth: float) -> np.ndarray:
    radius = math.exp(-math.pi * bandwidth / RATE)
    b, c = 2 * radius * math.cos(2 * math.pi * hertz / RATE), -radius * radius
    out, one, two = np.empty_like(signal), 0.0, 0.0
    for index, sample in enumerate(signal):
        one, two = (1 - b - c) * sample + b * one + c * two, one
        out[index] = one
    return out


def write_wav(path: Path, samples: np.ndarray) -> Path:
    """Mono, 16 bits."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def read_picture(path: Path) -> np.ndarray:
    """Height x width x 3, red-green-blue."""
    return frames(path, "rgb24")[0]


def write_picture(path: Path, picture: np.ndarray) -> Path:
    """A PNG of an RGB array."""
    height, across = picture.shape[:2]
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{across}x{height}", "-i", "-", "-frames:v", "1", str(path)]
    subprocess.run(command, check=True, input=np.ascontiguousarray(picture).tobytes())
    return path


def turned_away(picture: np.ndarray, middle: float, radius: float, degrees: float) -> np.ndarray:
    """The picture with the head, taken for an upright cylinder, turned by `degrees`."""
    columns = np.arange(picture.shape[1])
    across = (columns - middle) / radius
    angle = np.arcsin(np.clip(across, -1, 1)) + math.radians(degrees)
    source = middle + radius * np.where(angle < math.pi / 2, np.sin(angle), 1)
    source = np.where(np.abs(across) < 1, source, columns)
    low = np.clip(np.floor(source).astype(int), 0, len(columns) - 2)
    part = (source - low)[None, :, None]
    blend = picture[:, low] * (1 - part) + picture[:, low + 1] * part
    return np.clip(np.rint(blend), 0, 255).astype(np.uint8)
