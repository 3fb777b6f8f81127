"""Every error that a user can meet, in one tree; the exit code lives on the class.

CvlError                 1  failed
├── UserError            2  usage or bad input (never retried)
│   ├── UsageError          the command line
│   ├── ManifestError       an example.yaml: file, line, what, nearest right name
│   ├── InputError          a value or a file given to an example
│   └── TargetExistsError   something else is where the output should go
├── EnvironmentFault     3  the engine or the GPU (retried: infra)
│   ├── EngineError         the container engine said no, or nothing
│   └── GpuError            no GPU, or not enough of one
├── WeightsError         4  missing, gated or offline
├── MemoryFault          5  out of memory (steps down the offload ladder)
├── OutputError          6  an output is missing, empty or not what it was declared to be
├── TimeoutFault         7  the step took longer than it was allowed to
├── DiskFullError        8  a disk is full; the mount is named
├── StepError            1  the program in the container failed
├── BuildError           1  an image could not be built
├── VariationsError         that of the first variation that failed
└── Cancelled      128 + n  stopped by signal n
"""

from __future__ import annotations

from typing import ClassVar


class CvlError(Exception):
    """Root. `message` says what happened, `hint` the one thing to do, `code` is stable
    snake_case."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code

    @property
    def status(self) -> int:
        """The exit code of this very error."""
        return self.exit_code


class UserError(CvlError):
    """The caller can mend it; it is never retried."""

    exit_code = 2
    default_code = "bad_input"


class UsageError(UserError):
    """The command line makes no sense."""

    default_code = "usage"


class ManifestError(UserError):
    """An example.yaml is wrong; the message starts with `file:line:`."""

    default_code = "bad_manifest"


class InputError(UserError):
    """A value or a file given to an example cannot be used."""


class TargetExistsError(UserError):
    """A different file is where the output should go, and `--overwrite` was not given."""

    default_code = "target_exists"


class EnvironmentFault(CvlError):
    """The machine is not ready: Docker, a GPU, a resource."""

    exit_code = 3
    default_code = "environment"


class EngineError(EnvironmentFault):
    """The container engine refused, vanished or did not answer in time."""

    default_code = "engine"


class GpuError(EnvironmentFault):
    """No GPU, no free GPU, or one that does not do."""

    default_code = "no_gpu"


class WeightsError(CvlError):
    """Weights are missing, gated or unreachable."""

    exit_code = 4
    default_code = "weights"


class MemoryFault(CvlError):
    """A step ran out of memory, on the host or on the GPU."""

    exit_code = 5
    default_code = "out_of_memory"


class OutputError(CvlError):
    """A declared output is missing, empty or of another kind; nothing was published."""

    exit_code = 6
    default_code = "bad_output"


class TimeoutFault(CvlError):
    """A step took longer than allowed."""

    exit_code = 7
    default_code = "timed_out"


class DiskFullError(CvlError):
    """A disk is full; the message names the mount."""

    exit_code = 8
    default_code = "disk_full"


class StepError(CvlError):
    """The program in the container failed for a reason of its own."""

    default_code = "step_failed"


class BuildError(CvlError):
    """An image could not be built."""

    default_code = "build_failed"


class VariationsError(CvlError):
    """Not all variations were made; exit code, code and hint are those of `first`, the failure that
    speaks for them."""

    def __init__(self, message: str, first: CvlError) -> None:
        super().__init__(message, hint=first.hint, code=first.code)
        self.first = first

    @property
    def status(self) -> int:
        return self.first.status


class Cancelled(CvlError):
    """Stopped by a signal; the exit code is 128 + its number."""

    default_code = "cancelled"

    def __init__(self, signum: int) -> None:
        super().__init__("cancelled")
        self.signum = signum

    @property
    def status(self) -> int:
        return 128 + self.signum


class StateError(CvlError):
    """cvl's own files cannot be read or written."""

    exit_code = 3
    default_code = "state"
