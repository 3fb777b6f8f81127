"""Send a signal to a cvl process, and to nothing that has its pid by now."""

from __future__ import annotations

import os
import signal

from cvl.core.owner import Owner
from cvl.machine.process import is_alive


def signal_owner(owner: Owner, signum: int) -> bool:
    """Signal the process of an owner that may be judged from here; False when it is gone.

    The process is held by a descriptor before its start time is compared, so its pid cannot pass to
    another process in between.
    """
    pid = int(owner.pid)
    if pid <= 1 or not is_alive(owner):
        return False
    if not hasattr(os, "pidfd_open"):
        os.kill(pid, signum)
        return True
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_alive(owner):
            return False
        signal.pidfd_send_signal(descriptor, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True
