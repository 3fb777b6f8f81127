"""Who this process is, so that another one can tell later whether it is still alive."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cvl.core.owner import Owner


def this_owner(home: str) -> Owner:
    """The identity of this very process for the CVL_HOME with id `home`."""
    pid = os.getpid()
    return Owner(
        uid=str(os.getuid()),
        home=home,
        pid=str(pid),
        start=start_time(pid) or "0",
        boot=_boot_id(),
        pidns=_pid_namespace(),
    )


def is_alive(owner: Owner) -> bool:
    """Does a process with this pid and start time exist? Ask only for owners that may be judged.
    One whose pid is no number was not written by us: it is never taken for dead."""
    return not owner.pid.isdigit() or start_time(int(owner.pid)) == owner.start


def start_time(pid: int) -> str | None:
    """Start time of a process (clock ticks since boot), or None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _start_time_without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _start_time_without_proc(pid: int) -> str | None:
    """macOS has no /proc; `ps` knows the start as text, which is as good for comparing."""
    if sys.platform.startswith("linux"):
        return None
    import subprocess

    result = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _pid_namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def total_memory() -> int:
    """Bytes of RAM that this process may use: the machine's, or its cgroup's when that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total
