"""Named points at which a test can strike, so that every crash is tested where it hurts most.

`CVL_FAULT=created:SIGKILL` sends the process that signal when it reaches the point. Without the
variable a point costs one dictionary lookup.
"""

from __future__ import annotations

import os
import signal

POINTS = ("lock_taken", "created", "started", "mid_run", "outputs_written", "before_replace")


def reach(point: str) -> None:
    """Mark that execution is at `point`, one of POINTS."""
    wanted = os.environ.get("CVL_FAULT")
    if wanted is not None and wanted.partition(":")[0] == point:
        os.kill(os.getpid(), signal.Signals[wanted.partition(":")[2]])
