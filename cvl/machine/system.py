"""Which machine and which user this is."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import sys
from pathlib import Path

from cvl import __version__
from cvl.core.doctor.facts import SystemFacts


def read_system(root: Path = Path("/")) -> SystemFacts:
    """`root`: where the machine's files are, for tests."""
    return SystemFacts(
        os=platform.system(),
        arch=platform.machine(),
        wsl=_wsl(root),
        python=platform.python_version(),
        executable=sys.executable,
        cvl=__version__,
        uid=os.getuid(),
        home=os.path.expanduser("~"),
        docker_group=_docker_group(),
    )


def _wsl(root: Path) -> int:
    """WSL 2 has a kernel of its own, WSL 1 says that it is one of 2016."""
    try:
        version = (root / "proc/version").read_text().lower()
    except OSError:
        return 0
    if "microsoft" not in version:
        return 0
    return 2 if "wsl2" in version or "microsoft-standard" in version else 1


def _docker_group() -> str:
    try:
        group = grp.getgrnam("docker")
    except KeyError:
        return "none"
    if os.getuid() == 0 or group.gr_gid in (os.getegid(), *os.getgroups()):
        return "in"
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "out"
    return "stale" if name in group.gr_mem else "out"
