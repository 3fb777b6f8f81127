"""The video that a figure takes its poses from, at the rate and size of the one that is made."""

import subprocess
from pathlib import Path
from typing import Any, Callable

import numpy as np
from cvl_inside import InputError, ffmpeg
from PIL import Image
from shape import Size


def read_poses(path: str, size: Size, fps: int, most: int, folder: str) -> Callable[[int], Any]:
    """Gives the picture at a frame of the video; black after its end, which is no pose. The frames
    are on the disk. Raises InputError for what is no video."""
    target = Path(folder) / "poses.rgb"
    fill = f"{size.width}:{size.height}"
    filters = f"fps={fps},scale={fill}:force_original_aspect_ratio=increase,crop={fill}"
    command = [ffmpeg(), "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    command += ["-i", f"file:{Path(path).resolve()}", "-map", "0:v:0", "-vf", filters]
    command += ["-frames:v", str(most), "-f", "rawvideo", "-pix_fmt", "rgb24", "-y"]
    subprocess.run([*command, f"file:{target}"], stderr=subprocess.DEVNULL, check=False)
    shape = (size.height, size.width, 3)
    count = target.stat().st_size // int(np.prod(shape)) if target.exists() else 0
    if not count:
        raise InputError(
            "the pose video holds no pictures that can be decoded", "use an MP4, MOV or WebM file"
        )
    frames = np.memmap(target, np.uint8, "r", shape=(count, *shape))
    black = Image.new("RGB", (size.width, size.height))
    return lambda index: Image.fromarray(frames[index]) if index < count else black
