"""Programs that come with an image or with a wheel of the environment."""

import shutil
from typing import Optional


def find_ffmpeg() -> Optional[str]:
    """Path of ffmpeg: the one of the imageio-ffmpeg wheel where that is installed, since its
    version is locked, else the one on PATH."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return shutil.which("ffmpeg")
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def ffmpeg() -> str:
    """Path of ffmpeg, or its name where there is none: starting that says so."""
    return find_ffmpeg() or "ffmpeg"
