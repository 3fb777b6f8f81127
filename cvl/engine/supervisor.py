"""Runs one step as a process of this machine, and ends everything that it started.

A program of its own, standard library only: `python -I -S supervisor.py FOLDER CONTROL`. FOLDER
holds spec.json; CONTROL is the reading end of a pipe whose other end the owner keeps. `T10` on it
asks the step to end and kills it ten seconds later, `K` kills it now, and its end means that the
owner is gone, which kills it too. What is left of a step when its main process has ended is killed
as well. How it ended is in FOLDER/state.json.

On Linux the supervisor adopts every orphan below it, so nothing can slip away by becoming a daemon.
Elsewhere only the process group is ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SWEEP_S = 10.0
PAUSE_S = 0.01
MARK = "CVL_PROCESS"
NOTES, NOTE_BYTES = ("pid", "state.json"), 512
LINUX = sys.platform.startswith("linux")


def main(folder: str, control: int) -> None:
    """Run the step of `folder` to its end."""
    with open(os.path.join(folder, "spec.json")) as stream:
        spec = json.load(stream)
    adopts = prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_children()
    killed_before = oom_kills()
    os.set_inheritable(control, False)
    _write(folder, "pid", f"{os.getpid()} {start_time(os.getpid())}")
    child = _start(spec)
    # The log ends with the last process that can write to it, which must not be this one.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    status, ours = _watch(child, control, wake)
    left = _sweep(child, adopts)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not ours
    state = {
        "exit_code": exit_code(status),
        "oom_killed": killed and oom_kills() > killed_before,
        "left": left,
    }
    _write(folder, "state.json", json.dumps(state))


def _start(spec: dict[str, Any]) -> int:
    """Fork the step: a session and process group of its own, its limits, its environment."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _limit(spec["limits"])
        os.chdir(spec["working_dir"])
        os.umask(0o077)
        os.execve(spec["command"][0], spec["command"], spec["environment"])
    except BaseException as error:
        os.write(2, f"the step cannot be started: {error}\n".encode())
    finally:
        os._exit(127)


def _limit(limits: dict[str, int]) -> None:
    """Resource limits by the name that `resource` has for them; those that a system lacks are
    left out."""
    import resource

    for name, value in limits.items():
        number = getattr(resource, name, None)
        if number is not None:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(number, (value, value))


def _watch(child: int, control: int, wake: int) -> tuple[int, bool]:
    """Until the main process has ended: (its status, did we kill it)."""
    deadline: float | None = None
    told = [control]
    ours = False
    while True:
        status = _reaped(child)
        if status is not None:
            return status, ours
        if deadline is not None and time.monotonic() >= deadline:
            ours, deadline = True, None
            _kill_all(child)
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = select.select([*told, wake], [], [], timeout)[0]
        if wake in ready:
            os.read(wake, 4096)
        if control in ready:
            words = os.read(control, 64).decode("ascii").split("\n")
            told = told if any(words) else []
            deadline = time.monotonic()
            if words[0].startswith("T") and "K" not in words:
                _signal_group(child, signal.SIGTERM)
                deadline += float(words[0][1:])


def _reaped(child: int) -> int | None:
    """Collect what has ended; the status of the main process when it is among it."""
    found: int | None = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def _sweep(child: int, adopts: bool) -> bool:
    """Kill what the step left running; True when something is left all the same."""
    _signal_group(child, signal.SIGKILL)
    end = time.monotonic() + SWEEP_S
    while adopts and time.monotonic() < end:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:  # every orphan below is a child of ours: there is none left
            return False
        time.sleep(PAUSE_S)
    return adopts


def _kill_all(child: int) -> None:
    _signal_group(child, signal.SIGKILL)
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _signal_group(child: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(child, number)


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, where /proc tells; else none."""
    children: dict[int, list[int]] = {}
    for other in processes():
        fields = _stat(other)
        if fields:
            children.setdefault(int(fields[1]), []).append(other)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def processes() -> Iterator[int]:
    """Every process that /proc shows."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                yield int(name)


def marked(mark: str) -> list[int]:
    """Processes whose environment carries this mark: what a killed supervisor left behind."""
    wanted = f"{MARK}={mark}\0".encode()
    found = []
    for pid in processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as stream:
            if wanted in stream.read() + b"\0":
                found.append(pid)
    return found


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> str:
    """When a process started, in a form that tells it from another with its pid; empty when there
    is none that runs."""
    fields = _stat(pid)
    if fields:
        return "" if fields[0] == "Z" else fields[19]
    if LINUX:
        return ""
    import subprocess

    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip().replace(" ", "_")


def oom_kills() -> int:
    """How many processes the kernel has killed for memory; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat") as stream:
        for line in stream:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def exit_code(status: int) -> int:
    """A wait status as a shell shows it: 128 + n for signal n."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def prctl(option: int, value: int) -> bool:
    """Set an attribute of this process; False where that is not possible."""
    if not LINUX:
        return False
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def _wake_on_children() -> int:
    """A descriptor that can be read from once a child has ended. Signals that are meant for the
    step come over the control pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return reading


def _write(folder: str, name: str, text: str) -> None:
    """As a whole or not at all, in the room that its owner made for it. The folder may be gone:
    then nobody asks."""
    with contextlib.suppress(OSError):
        path = os.path.join(folder, name)
        with open(f"{path}.part", "r+") as stream:
            stream.write(text)
            stream.truncate()
        os.replace(f"{path}.part", path)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
