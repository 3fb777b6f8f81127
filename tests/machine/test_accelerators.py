"""Drivers, toolkits and cards, on machines made of files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cvl.core.doctor.facts import AmdFacts, NvidiaFacts
from cvl.machine.accelerators import read_amd, read_nvidia
from cvl.machine.system import read_system

MODULE = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.120  Fri Sep 13 10:10:01 UTC 2024
GCC version:  gcc version 12.3.0
"""
OPEN_MODULE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without anything, and no program on PATH."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def put(root: Path, path: str, text: str = "") -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_a_machine_without_a_gpu(root: Path) -> None:
    assert read_nvidia(root) == NvidiaFacts()
    assert read_amd(root) == AmdFacts()


@pytest.mark.parametrize(("text", "version"), [(MODULE, "550.120"), (OPEN_MODULE, "570.133.20")])
def test_the_loaded_module_tells_its_version(root: Path, text: str, version: str) -> None:
    put(root, "proc/driver/nvidia/version", text)
    assert read_nvidia(root).loaded == version


def test_cards_are_display_devices_of_nvidia(root: Path) -> None:
    for name, vendor, kind in (
        ("0000:01:00.0", "0x10de", "0x030000"),
        ("0000:01:00.1", "0x10de", "0x040300"),  # its sound
        ("0000:02:00.0", "0x10de", "0x030200"),
        ("0000:03:00.0", "0x8086", "0x030000"),
    ):
        put(root, f"sys/bus/pci/devices/{name}/vendor", f"{vendor}\n")
        put(root, f"sys/bus/pci/devices/{name}/class", f"{kind}\n")
    assert read_nvidia(root).cards == 2


def test_the_toolkit_and_what_it_wrote(root: Path) -> None:
    for program in ("nvidia-ctk", "nvidia-container-runtime-hook"):
        put(root, f"bin/{program}")
        (root / "bin" / program).chmod(0o755)
    put(root, "etc/cdi/nvidia.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n")
    put(root, "var/run/cdi/other.yaml", "kind: vendor.com/device\n")
    put(root, "etc/nvidia-container-runtime/config.toml", "[x]\n#no-cgroups = true\n")
    found = read_nvidia(root)
    assert found.ctk.endswith("bin/nvidia-ctk") and found.hook.endswith("-hook")
    assert found.cdi_specs == (str(root / "etc/cdi/nvidia.yaml"),)
    assert not found.no_cgroups
    put(root, "etc/nvidia-container-runtime/config.toml", "[x]\n  no-cgroups = true\n")
    assert read_nvidia(root).no_cgroups


def test_amd_cards_and_their_compute_device(root: Path) -> None:
    put(root, "sys/class/drm/card0/device/vendor", "0x1002\n")
    put(root, "sys/class/drm/card0-HDMI-A-1/device/vendor", "0x1002\n")
    put(root, "sys/class/drm/card1/device/vendor", "0x10de\n")
    put(root, "dev/kfd")
    assert read_amd(root) == AmdFacts(kfd=True, cards=1)


@pytest.mark.parametrize(
    ("version", "wsl"),
    [
        ("Linux version 5.15.153.1-microsoft-standard-WSL2 (root@x)", 2),
        ("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)", 1),
        ("Linux version 6.8.0-45-generic (buildd@lcy02)", 0),
    ],
)
def test_which_wsl(root: Path, version: str, wsl: int) -> None:
    put(root, "proc/version", version)
    assert read_system(root).wsl == wsl
