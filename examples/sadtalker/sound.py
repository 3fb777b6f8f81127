"""Reads the speech, and writes it beside the frames: the same bytes every time."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from cvl_inside import InputError, ffmpeg
from sadtalker.voice import FPS, RATE

THREADS = "2"  # fixed: x264 decides differently with another number of threads
LOCAL = ["-protocol_whitelist", "file,pipe"]


class EncodeError(RuntimeError):
    """ffmpeg stopped before the video was whole."""


def load(path: str) -> np.ndarray:
    """(N,) in -1..1 at 16 kHz."""
    command = [ffmpeg(), "-nostdin", "-v", "error", *LOCAL, "-i", f"file:{Path(path).resolve()}"]
    command += ["-map", "0:a:0", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "pipe:1"]
    said = subprocess.run(command, capture_output=True, check=False)
    wave = np.frombuffer(said.stdout, np.float32)
    if said.returncode or not len(wave):
        raise InputError(
            "The audio holds no sound track that can be decoded.",
            hint="Use a WAV, MP3, FLAC, Ogg or M4A file.",
            code="bad_audio",
        )
    return wave


def write(frames: Iterable[np.ndarray], count: int, crf: int, audio: str, path: str) -> None:
    """Encodes (H, W, 3) red-green-blue bytes as they come; none is kept. `count`: how many there
    are, after which the sound ends, too."""
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    with tempfile.TemporaryFile() as log:
        command = _command((width, height), count / FPS, crf, audio, path)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            _feed(process.stdin, first, frames)
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        if status:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip()[-800:]
            raise EncodeError(f"ffmpeg failed with status {status}: {said}")


def _feed(pipe: Any, first: np.ndarray, frames: Iterable[np.ndarray]) -> None:
    # A broken pipe is ffmpeg's failure; its exit status and its own words say more.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(np.ascontiguousarray(first).data)
        for frame in frames:
            pipe.write(np.ascontiguousarray(frame).data)


def _command(size: tuple[int, int], seconds: float, crf: int, audio: str, path: str) -> list[str]:
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}"]
    command += ["-r", str(FPS), "-i", "pipe:0", *LOCAL, "-i", f"file:{Path(audio).resolve()}"]
    command += ["-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "-1", "-map_chapters", "-1"]
    command += ["-t", f"{seconds:.3f}"]
    command += ["-c:v", "libx264", "-preset", "fast", "-crf", str(crf), "-threads", THREADS]
    even = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"  # H.264 has no odd sides
    command += ["-vf", f"{even},scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p"]
    command += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    command += ["-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2"]
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    return [*command, "-movflags", "+faststart", "-f", "mp4", f"file:{Path(path).resolve()}"]
