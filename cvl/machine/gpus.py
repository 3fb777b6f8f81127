"""What NVIDIA GPUs this machine has now. Never cached: a driver can come and go."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from cvl.core.redaction import without_secrets

TIMEOUT_S = 10
_QUERY = "index,uuid,name,memory.total,memory.free,driver_version,compute_cap"


@dataclass(frozen=True)
class Gpu:
    """One GPU; memory in bytes, free memory as of the moment it was read."""

    index: int
    uuid: str
    name: str
    memory_total: int
    memory_free: int
    driver: str
    compute_capability: str


def read_gpus() -> list[Gpu]:
    """All GPUs in index order: by NVML, else by nvidia-smi, else none."""
    gpus = _from_nvml()
    return gpus if gpus is not None else _from_nvidia_smi()


def _from_nvml() -> list[Gpu] | None:
    """None when NVML cannot be loaded or refuses; nvidia-smi is asked then."""
    try:
        import pynvml  # type: ignore[import-untyped,unused-ignore]

        pynvml.nvmlInit()
    except Exception:
        return None
    try:
        return [_nvml_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _nvml_gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_total=int(memory.total),
        memory_free=int(memory.free),
        driver=_text(nvml.nvmlSystemGetDriverVersion()),
        compute_capability=f"{major}.{minor}",
    )


def has_metal() -> bool:
    """Is this a Mac whose GPU is reached through Metal? Only from a process of the host."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _from_nvidia_smi() -> list[Gpu]:
    path = shutil.which("nvidia-smi")
    if path is None:
        return []
    command = [path, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(
            command,
            env=without_secrets(os.environ),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = (
        [line.split(", ") for line in result.stdout.splitlines()] if not result.returncode else []
    )
    columns = len(_QUERY.split(","))
    return [_smi_gpu(row) for row in rows if len(row) == columns and row[0].isdigit()]


def _smi_gpu(row: list[str]) -> Gpu:
    index, uuid, name, total, free, driver, capability = (cell.strip() for cell in row)
    return Gpu(int(index), uuid, name, _bytes(total), _bytes(free), driver, capability)


def _bytes(mebibytes: str) -> int:
    """A GPU that shares the machine's memory says [N/A]: 0."""
    return int(mebibytes) << 20 if mebibytes.isdigit() else 0
