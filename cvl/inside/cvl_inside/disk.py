"""Was it a full disk that a program failed of, and which?"""

import errno
import os
import tempfile
from typing import Optional

FULL = (errno.ENOSPC, errno.EDQUOT)
SAYINGS = ("no space left on device", "disk quota exceeded")
ROOM = 1 << 16


def full_errno(error: Optional[BaseException]) -> int:
    """ENOSPC or EDQUOT when that is behind an exception, or in what a program said that it quotes;
    0 for any other failure."""
    for _ in range(10):
        if error is None:
            return 0
        if isinstance(error, OSError) and error.errno in FULL:
            return int(error.errno)
        text = str(error).lower()
        for number, saying in zip(FULL, SAYINGS):
            if saying in text:
                return number
        error = error.__cause__ or error.__context__
    return 0


def full_place() -> str:
    """The first of the folders that a program may write to that has no room left; empty when all
    have: what filled one may be gone again."""
    control = os.environ.get("CVL_CONTROL") or tempfile.gettempdir()
    for path in (control, tempfile.gettempdir(), "/tmp", os.path.expanduser("~"), "/dev/shm"):
        try:
            found = os.statvfs(path)
        except OSError:
            continue
        if found.f_bavail * found.f_frsize < ROOM or (found.f_files and not found.f_favail):
            return path
    return ""
