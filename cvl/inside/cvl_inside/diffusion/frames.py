"""Frames out of a pipeline: proof that they are pictures, and the file that they become."""

import itertools
import subprocess
import tempfile
import wave
from pathlib import Path
from typing import Any, Iterable, List, Optional

from ..decoding import OutputError
from ..programs import find_ffmpeg

CRF = "17"
EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"


def finite_frames(frames: Any) -> Any:
    """uint8 [frames, rows, columns, 3] of floats 0 to 1, a batch of one around them or not. Raises
    OutputError when there are none, or some that are no numbers."""
    import numpy as np

    array = np.asarray(frames, dtype=np.float32)
    if array.ndim == 5:
        array = array[0]
    if array.ndim != 4 or array.shape[-1] != 3 or not array.size:
        raise OutputError(f"the pipeline gave no frames, but {array.shape}")
    if not np.isfinite(array).all():
        raise OutputError("the pipeline gave frames that are no numbers (NaN): try another --dtype")
    return np.round(array.clip(0, 1) * 255).astype(np.uint8)


def write_video(
    frames: Iterable[Any], fps: float, path: str, audio: Optional[Any] = None, rate: int = 0
) -> None:
    """MP4 (H.264, and AAC of `audio`: floats [channels, samples] at `rate`, or the path of a file)
    of uint8 [rows, columns, 3] each, which are encoded as they come. The same frames give the same
    bytes."""
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        raise RuntimeError("this image has no ffmpeg")
    coming = iter(frames)
    first = next(coming)
    rows, columns, _ = first.shape
    command = [ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{columns}x{rows}", "-r", f"{fps:g}", "-i", "pipe:0"]
    with tempfile.TemporaryDirectory() as folder:
        if audio is not None:
            sound = audio if isinstance(audio, str) else str(Path(folder) / "sound.wav")
            if not isinstance(audio, str):
                write_wav(audio, rate, Path(sound))
            command += ["-i", f"file:{sound}", "-c:a", "aac", "-b:a", "192k"]
        _encode(command + _settings(path), itertools.chain([first], coming))


def _settings(path: str) -> List[str]:
    return [
        "-vf", EVEN, "-c:v", "libx264", "-preset", "medium", "-crf", CRF, "-pix_fmt", "yuv420p",
        "-movflags", "+faststart", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a",
        "+bitexact", "-map_metadata", "-1", f"file:{path}",
    ]  # fmt: skip


def _encode(command: List[str], frames: Iterable[Any]) -> None:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
        assert process.stdin is not None
        try:
            for frame in frames:
                process.stdin.write(frame.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says why it ended
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.wait() != 0:
            said.seek(0)
            text = said.read().decode(errors="replace").strip().splitlines()[-1:] or [""]
            raise OutputError(f"ffmpeg cannot write the video: {text[0]}")


def write_wav(audio: Any, rate: int, path: Path) -> None:
    """16 bit of floats -1 to 1, [channels, samples]. Raises OutputError for what is no sound."""
    import numpy as np

    samples = np.asarray(audio, dtype=np.float32)
    samples = samples.reshape(-1, samples.shape[-1])
    if not np.isfinite(samples).all():
        raise OutputError("the pipeline gave sound that is no numbers (NaN)")
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(samples.shape[0])
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((samples.clip(-1, 1).T * 32767).astype("<i2").tobytes())
