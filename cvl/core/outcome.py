"""The name of how a step ended, read from everything that is known of it.

Exit codes lie: 137 is an out-of-memory kill, `docker kill`, a stop that had to be forced, or the
program's own; a child killed for memory can leave exit 3 or even 0. So the engine's OOM flag, our
own record of who asked to stop, and the result that cvl_inside wrote are read before the code.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import Any, Literal

from cvl.core.names import is_identifier, printable
from cvl.errors import (
    Cancelled,
    CvlError,
    DiskFullError,
    EngineError,
    GpuError,
    InputError,
    MemoryFault,
    OutputError,
    StepError,
    TimeoutFault,
)

EXIT_INPUT, EXIT_DISK, EXIT_OOM, EXIT_OUTPUT = 65, 74, 75, 76
StopReason = Literal["", "cancelled", "timeout", "engine_lost"]
NO_SPACE = ("no space left on device", "disk quota exceeded", "errno 28")
SAID = 1000
"""Characters of what a program says of its end that are told: one line of them."""
GPU_LOST = "Failed to initialize NVML: Unknown Error"


@dataclass(frozen=True)
class Ending:
    """The facts of an ended container."""

    exit_code: int
    oom_killed: bool
    engine_error: str
    stop_reason: StopReason
    signum: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    log_tail: str = ""
    memory_limit: int = 0
    timeout_s: float | None = None
    on_host: bool = False
    """It was a process of this machine: `oom_killed` is then the kernel's, not a limit's."""
    full_mount: str = ""
    """Mount point of the disk that the step writes to, when there is no room on it."""
    tmp_limit: int = 0
    """Bytes that /tmp of a container may hold; as many are in its home."""


def failure_of(ending: Ending, step: str, log_path: str) -> CvlError | None:
    """The error that this ending is, or None when the program succeeded."""
    stopped = _stopped(ending, step)
    if stopped is not None:
        return stopped
    result = ending.result
    status = result.get("status")
    if ending.exit_code == EXIT_OOM and status == "oom":
        return _device_oom(step, str(result.get("device", "")))
    if ending.exit_code != 0 and ending.oom_killed:
        return _host_oom(step) if ending.on_host else _container_oom(step, ending.memory_limit)
    if ending.exit_code == EXIT_INPUT and status == "input":
        return InputError(
            _said(result, "message") or "bad input",
            hint=_said(result, "hint"),
            code=_code(result.get("code")),
        )
    full = _no_space(ending, step, log_path)
    if full is not None:
        return full
    if ending.exit_code == EXIT_OUTPUT and status == "output":
        message = _said(result, "message") or "bad output"
        return OutputError(f"{step}: {message}", hint=_log(log_path))
    if ending.engine_error:
        return _engine_said(ending.engine_error)
    if ending.exit_code != 0:
        return _program_failed(ending, step, log_path)
    return None


def _said(result: dict[str, Any], name: str) -> str:
    """A program's own words: one line that can be shown, however much it wrote."""
    return printable(str(result.get(name, "")), SAID)


def _code(told: Any) -> str:
    """A code is a word of ours; anything else that a container says is not one."""
    return told if isinstance(told, str) and is_identifier(told) else "bad_input"


def warning_of(ending: Ending, step: str) -> str | None:
    """A child was killed for memory and the program went on to succeed: worth a warning."""
    if ending.exit_code == 0 and ending.oom_killed:
        return f"{step}: a process in the container was killed for memory; the outputs were checked"
    return None


def _stopped(ending: Ending, step: str) -> CvlError | None:
    if ending.stop_reason == "cancelled":
        return Cancelled(ending.signum)
    if ending.stop_reason == "timeout":
        return TimeoutFault(
            f"{step} took longer than {ending.timeout_s:g} s and was stopped",
            hint="give it more with --timeout SECONDS",
        )
    if ending.stop_reason == "engine_lost":
        return EngineError(
            f"the container engine was lost while {step} ran",
            hint="when cvl doctor finds it again, run the command again; nothing was published",
            code="engine_lost",
        )
    return None


def _no_space(ending: Ending, step: str, log_path: str) -> CvlError | None:
    """A full disk of the host, whatever a program made of it: some die of it, others go on, and
    what they wrote is short. What was full in the container alone is its own fault."""
    mount, code = ending.full_mount, ending.exit_code
    result = ending.result
    if mount:
        what = f"failed ({_how_it_ended(code)})" if code else "ended; what it wrote may be cut off"
        return DiskFullError(
            f"the disk at {mount} is full: {step} {what}",
            hint=f"free space on {mount}, or run: cvl gc",
        )
    said = result.get("status") == "disk" or any(t in ending.log_tail.lower() for t in NO_SPACE)
    if code == 0 or not said:
        return None
    if result.get("errno") == errno.EDQUOT:
        return DiskFullError(
            f"{step} used up your quota on the disk of its work folder",
            hint="free space there, or name another disk with CVL_HOME; or run: cvl gc",
        )
    return _own_space(ending, step, log_path)


def _own_space(ending: Ending, step: str, log_path: str) -> StepError:
    """The host has room, so it was something with a size of its own: /tmp, the home, /dev/shm."""
    told = ending.result.get("place")
    place = printable(told, 100) if isinstance(told, str) and told else "a folder of its own"
    most = f" (/tmp holds {ending.tmp_limit / 1e9:.1f} GB at most)" if ending.tmp_limit else ""
    hint = "large temporary files belong into ctx.scratch, where TMPDIR points"
    if ending.on_host:
        most, hint = "", "make room there"
    return StepError(
        f"{step} found no space left in {place}{most}; the disks of this machine have room",
        hint=f"{hint}; {_log(log_path)}" if log_path else hint,
        code="no_space",
    )


def _device_oom(step: str, device: str) -> MemoryFault:
    where = {"cuda": "GPU memory", "mps": "GPU memory"}.get(device, "memory")
    return MemoryFault(
        f"{step} ran out of {where}",
        hint="try --offload model, a smaller size or fewer frames",
        code="device_out_of_memory" if device in ("cuda", "mps") else "out_of_memory",
    )


def _container_oom(step: str, limit: int) -> MemoryFault:
    return MemoryFault(
        f"{step} was killed for memory at its limit of {limit / 1e9:.1f} GB",
        hint="free memory, use a smaller input, or raise resources.memory_limit_gb of the example",
        code="container_out_of_memory",
    )


def _host_oom(step: str) -> MemoryFault:
    return MemoryFault(
        f"{step} was killed while the kernel killed processes for memory",
        hint="free memory, or use a smaller input",
        code="out_of_memory",
    )


def _engine_said(error: str) -> CvlError:
    text = _last_line(error)
    if "could not select device driver" in error or "nvidia-container" in error.lower():
        return GpuError(
            f"the GPU could not be given to the container: {text}",
            hint="install nvidia-container-toolkit, then run: nvidia-ctk runtime configure "
            "--runtime=docker",
            code="gpu_not_available",
        )
    return EngineError(f"the container could not be run: {text}", hint="run: cvl doctor")


def _program_failed(ending: Ending, step: str, log_path: str) -> CvlError:
    message = _said(ending.result, "message") or _last_line(ending.log_tail)
    if GPU_LOST in ending.log_tail:
        return GpuError(
            f"{step} lost the GPU while it ran",
            hint="a `systemctl daemon-reload` does that; run the command again",
            code="gpu_lost",
        )
    how = _how_it_ended(ending.exit_code)
    return StepError(
        f"{step} failed ({how})" + (f": {message}" if message else ""), hint=_log(log_path)
    )


def _how_it_ended(code: int) -> str:
    if code == 137:
        return "exit 137: killed, not by cvl and not for the container's memory limit"
    if code == 153:
        return "exit 153: a file grew over the size limit"
    if code in (126, 127):
        return f"exit {code}: its image has no `python` to run /app/predict.py with"
    return f"signal {code - 128}" if code > 128 else f"exit {code}"


def _last_line(text: str) -> str:
    """The last that says something: what colours a terminal does not."""
    shown = (printable(line, SAID).strip() for line in reversed(text.splitlines()))
    return next(filter(None, shown), "")


def _log(path: str) -> str:
    return f"the whole log: {path}" if path else ""
