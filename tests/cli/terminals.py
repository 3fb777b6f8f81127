"""A terminal for a command: what a person would see, and what they answer."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path


def on_terminal(
    command: list[str],
    environment: dict[str, str],
    cwd: Path,
    *,
    answer: str = "",
    wait_for: str = "?",
) -> tuple[int, str]:
    """Run on a terminal of 80 columns; `answer` is typed once `wait_for` is on the screen. Returns
    the exit code and the screen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {k: v for k, v in environment.items() if k != "COLUMNS"}
    process = subprocess.Popen(
        command, env=environment, cwd=cwd, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    screen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            screen += chunk
        if answer and wait_for.encode() in screen:
            os.write(master, answer.encode())
            answer = ""
    os.close(master)
    return process.wait(timeout=10), screen.decode().replace("\r\n", "\n")
