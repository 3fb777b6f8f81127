"""Run ffmpeg: argument lists only, generated file names, a forced demuxer."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from cvl_inside import ffmpeg

# A fixed number, because encoders write other bytes with another number of threads.
THREADS = 4
BASE = [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "warning", "-y"]
REPRODUCIBLE = [
    "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact",
    "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", str(THREADS),
]  # fmt: skip
_MAX_PIXELS = 8192 * 4320
_TAIL_LINES = 6
FONT_SETTINGS = "fonts.conf"

Report = Callable[[float], None]


def input_args(path: Path, demuxer: str, *, loop: bool = False) -> list[str]:
    """Options and name of one input: only local files, only this format, only sane sizes."""
    limits = ["-protocol_whitelist", "file", "-max_pixels", str(_MAX_PIXELS)]
    repeat = ["-stream_loop", "-1"] if loop else []
    return [*limits, *repeat, "-f", demuxer, "-i", f"file:{path}"]


def run_quiet(
    argv: list[str], timeout: float, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end and keep both outputs."""
    return subprocess.run(
        argv,
        capture_output=True,
        timeout=timeout,
        cwd=cwd,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
    )


def run(argv: list[str], folder: Path, report: Report | None = None) -> str:
    """Run ffmpeg in `folder`, report the seconds written so far, return what it printed.

    Filters name their text files relative to `folder`, so that no path stands in a filter string.
    """
    command = [argv[0], "-progress", "pipe:1", *argv[1:]]
    # A file, because a full stderr pipe would block ffmpeg while its progress is read.
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "FONTCONFIG_FILE": str(folder / FONT_SETTINGS)},
            stdin=subprocess.DEVNULL,
            stderr=log,
            stdout=subprocess.PIPE,
            encoding="ascii",
            errors="replace",
        ) as process:
            try:
                _follow(process, report)
            except BaseException:
                process.kill()
                raise
        log.seek(0)
        printed = log.read().decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"ffmpeg failed with code {process.returncode}: {tail(printed)}")
    return printed


def _follow(process: subprocess.Popen[str], report: Report | None) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        key, _, value = line.strip().partition("=")
        if report and key == "out_time_us" and value.isdigit():
            report(int(value) / 1e6)


def tail(printed: str) -> str:
    """The last lines that ffmpeg printed, as one line."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " | ".join(lines[-_TAIL_LINES:]) or "it printed nothing"
