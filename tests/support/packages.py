"""Install what the tests need from Debian, on a machine that is ours to change: root and CI set."""

from __future__ import annotations

import os
import shutil
import subprocess

PROGRAMS = {
    "dockerd": "docker.io",
    "ip": "iproute2",
    "iptables": "iptables",
    "debootstrap": "debootstrap",
    "ffmpeg": "ffmpeg",
    "espeak-ng": "espeak-ng",
    "flite": "flite",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def may_install() -> bool:
    """Only where it was asked for: as root, with CI set."""
    return os.geteuid() == 0 and bool(os.environ.get("CI"))


def which(program: str) -> str | None:
    """Like shutil.which, with the system folders that a user's PATH may lack."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def ensure_programs() -> None:
    """Every program of PROGRAMS is there, or a failure says which is not and how to get it."""
    missing = sorted({PROGRAMS[name] for name in PROGRAMS if which(name) is None})
    if not missing:
        return
    if not may_install():
        raise RuntimeError(
            f"the tests need these Debian packages: {' '.join(missing)}; "
            "install them, or run as root with CI=1 to have them installed"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    subprocess.run(command, check=True, env=environment)
