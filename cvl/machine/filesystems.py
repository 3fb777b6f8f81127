"""What kind of file system a path is on."""

from __future__ import annotations

import os
import re

MOUNTS = "/proc/self/mounts"
_ESCAPED = re.compile(r"\\([0-7]{3})")


def file_system_of(path: str, mounts: str = MOUNTS) -> str:
    """As the kernel calls it: ext4, nfs4, fuse.sshfs. Empty where that cannot be known; the path
    need not exist."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as stream:
            lines = [line.split(" ") for line in stream]
    except OSError:
        return ""
    real = os.path.realpath(path)
    found, deepest = "", -1
    for line in lines:
        if len(line) > 2:
            point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), line[1])
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= deepest:  # of two on one place, the last is seen
                found, deepest = line[2], len(point)
    return found
