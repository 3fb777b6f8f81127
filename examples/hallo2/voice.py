"""What is heard of a recording: all of it, or the voice alone."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from cvl_inside import ffmpeg
from cvl_inside.avatar import RATE, Speech
from hallo2.separation import CHANNELS, Separator
from hallo2.separation import RATE as MIXED_RATE

RAW = ("-f", "f32le", "-ar", str(MIXED_RATE), "-ac", str(CHANNELS))


def voice_of(speech: Speech, model: Path, scratch: str) -> np.ndarray:
    """float32 [n] at RATE, as many samples as the speech has, without what plays beside the voice.
    What lies between is on disk."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        mixed, alone = Path(folder) / "mixed.f32", Path(folder) / "alone.f32"
        quiet = [ffmpeg(), "-nostdin", "-v", "error"]
        source = ["-protocol_whitelist", "file,pipe", "-i", f"file:{speech.path}", "-map", "0:a:0"]
        length = ["-t", f"{speech.seconds:.6f}"]
        subprocess.run([*quiet, *source, *length, *RAW, f"file:{mixed}"], check=True)
        mix = np.memmap(mixed, np.float32, "r").reshape(-1, CHANNELS)
        made = np.memmap(alone, np.float32, "w+", shape=mix.shape)
        Separator(model).separate(mix, made)
        made.flush()
        mono = f"aresample={RATE}:ochl=mono:rematrix_maxval=1"
        heard = Path(folder) / "heard.f32"
        told = [*quiet, *RAW, "-i", f"file:{alone}", "-af", mono, "-f", "f32le", f"file:{heard}"]
        subprocess.run(told, check=True)
        samples = np.fromfile(heard, np.float32)[: len(speech.samples)]
    return np.pad(samples, (0, len(speech.samples) - len(samples)))
