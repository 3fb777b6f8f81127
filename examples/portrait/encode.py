"""Stream frames into an MP4 with the speech, the same bytes every time."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from cvl_inside import ffmpeg
from picture import Image

Size = tuple[int, int]  # width, height

THREADS = "2"  # fixed: x264 decides differently with another number of threads


class EncodeError(RuntimeError):
    """ffmpeg stopped before the video was whole."""


def write(frames: Iterable[Image], size: Size, fps: int, crf: int, audio: str, path: str) -> None:
    """Encode frames one by one; none is kept."""
    with tempfile.TemporaryFile() as log:
        command = _command(size, fps, crf, audio, path)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            _feed(process.stdin, frames)
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        if status:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip()[-800:]
            raise EncodeError(f"ffmpeg failed with status {status}: {said}")


def _feed(pipe: Any, frames: Iterable[Image]) -> None:
    # A broken pipe is ffmpeg's failure; its exit status and its own words say more.
    with contextlib.suppress(BrokenPipeError), pipe:
        for frame in frames:
            pipe.write(np.ascontiguousarray(frame).data)


def _command(size: Size, fps: int, crf: int, audio: str, path: str) -> list[str]:
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{size[0]}x{size[1]}"]
    command += ["-r", str(fps), "-i", "pipe:0"]
    command += ["-protocol_whitelist", "file,pipe", "-i", f"file:{Path(audio).resolve()}"]
    command += ["-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "-1", "-map_chapters", "-1"]
    command += ["-c:v", "libx264", "-preset", "fast", "-crf", str(crf), "-threads", THREADS]
    command += ["-rc-lookahead", "15"]  # a still background needs no more, and this saves memory
    command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p"]
    command += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    command += ["-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2"]
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    return [*command, "-movflags", "+faststart", "-f", "mp4", f"file:{Path(path).resolve()}"]
