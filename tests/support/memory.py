"""What a command needs at its peak, as the kernel counts it for that process alone."""

from __future__ import annotations

import sys
from pathlib import Path

_COUNTED = """
import atexit, sys
from pathlib import Path
place, sys.argv = Path(sys.argv[1]), ["cvl", *sys.argv[2:]]

def tell():
    status = Path("/proc/self/status").read_text()
    place.write_text(status.partition("VmHWM:")[2].split()[0])

atexit.register(tell)
from cvl.cli import main
main()
"""


def counted(place: Path, *arguments: str) -> list[str]:
    """A cvl command that leaves its peak at `place`. Not by its resource usage: that begins with
    what the process had before it became cvl."""
    return [sys.executable, "-c", _COUNTED, str(place), *arguments]


def peak_mb(place: Path) -> float:
    """Resident memory at its peak, in MB."""
    return int(place.read_text()) * 1024 / 1e6
