"""What there is to compute on beside the CPU, and what brings it into containers. Reads files, asks
NVML; never starts a program of the driver's but nvidia-smi, where NVML is not there."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from cvl.core.doctor.facts import AmdFacts, GpuFact, NvidiaFacts
from cvl.machine.gpus import read_gpus

NVIDIA_VENDOR, AMD_VENDOR = "0x10de", "0x1002"
DISPLAY_CLASS = "0x03"
CDI_FOLDERS = ("etc/cdi", "var/run/cdi")
TOOLKIT_CONFIG = "etc/nvidia-container-runtime/config.toml"
_NO_CGROUPS = re.compile(r"^\s*no-cgroups\s*=\s*true\b", re.MULTILINE)
_MODULE = re.compile(r"NVRM version:.*?(\d+\.\d+(?:\.\d+)?)")


def read_nvidia(root: Path = Path("/")) -> NvidiaFacts:
    """`root`: where the machine's files are, for tests."""
    gpus = read_gpus()
    return NvidiaFacts(
        driver=gpus[0].driver if gpus else "",
        gpus=tuple(GpuFact(g.name, g.memory_total, g.compute_capability) for g in gpus),
        problem="" if gpus else _nvml_problem(),
        loaded=_loaded(root),
        cards=_cards(root),
        ctk=shutil.which("nvidia-ctk") or "",
        hook=shutil.which("nvidia-container-runtime-hook") or "",
        cdi_specs=_cdi_specs(root),
        no_cgroups=bool(_NO_CGROUPS.search(_text(root / TOOLKIT_CONFIG))),
        wsl_library=(root / "usr/lib/wsl/lib/libcuda.so.1").exists(),
    )


def _nvml_problem() -> str:
    """NVML's own words for why there is no GPU; empty when it is not installed either."""
    try:
        import pynvml  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return ""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return ""
    except pynvml.NVMLError as error:
        return str(error)
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlShutdown()
    return ""


def _loaded(root: Path) -> str:
    """Version of the kernel module that is loaded now."""
    found = _MODULE.search(_text(root / "proc/driver/nvidia/version"))
    return found.group(1) if found else ""


def _cards(root: Path) -> int:
    devices = _listed(root / "sys/bus/pci/devices")
    return sum(
        _text(device / "vendor").strip() == NVIDIA_VENDOR
        and _text(device / "class").startswith(DISPLAY_CLASS)
        for device in devices
    )


def _cdi_specs(root: Path) -> tuple[str, ...]:
    """Files that describe NVIDIA devices to engines that know CDI."""
    files = [file for folder in CDI_FOLDERS for file in _listed(root / folder)]
    return tuple(str(file) for file in files if "nvidia.com/" in _text(file))


def read_amd(root: Path = Path("/")) -> AmdFacts:
    """`root`: where the machine's files are, for tests."""
    cards = [
        card
        for card in _listed(root / "sys/class/drm")
        if re.fullmatch(r"card\d+", card.name)
        and _text(card / "device/vendor").strip() == AMD_VENDOR
    ]
    return AmdFacts((root / "dev/kfd").exists(), len(cards))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open(errors="replace") as stream:
            return stream.read(1 << 20)
    except OSError:
        return ""
