"""What an engine that was killed leaves on a machine: its shims, what they run, and its mounts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path


def clear(folder: Path, data: Path) -> None:
    """End the processes whose command line names the engine's own folder, with their children, and
    undo the mounts below its folders. Nothing else is touched."""
    for shim in _named(f"{folder}/"):
        for pid in (*_children(shim), shim):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    lines = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    for place in sorted(places, reverse=True):
        if place.startswith((f"{folder}/", f"{data}/")) or place == str(data):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


def _named(mark: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
