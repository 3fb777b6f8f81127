"""GPUs as nvidia-smi tells them, where NVML is absent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cvl.machine.gpus import Gpu, read_gpus

MIB = 1 << 20
ROWS = """\
0, GPU-aaaa, NVIDIA H200, 143771, 143000, 570.86, 9.0
1, GPU-bbbb, NVIDIA A10G, 23028, 100, 570.86, 8.6
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi that is the only program on PATH; its text is the test's."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "nvidia-smi"


def say(smi: Path, text: str, code: int = 0) -> None:
    smi.write_text(f"#!/bin/sh\necho \"$@\" > {smi}.asked\nprintf '{text}'\nexit {code}\n")
    smi.chmod(0o755)


def test_gpus_are_read_in_order_with_memory_in_bytes(smi: Path) -> None:
    say(smi, ROWS)
    assert read_gpus() == [
        Gpu(0, "GPU-aaaa", "NVIDIA H200", 143771 * MIB, 143000 * MIB, "570.86", "9.0"),
        Gpu(1, "GPU-bbbb", "NVIDIA A10G", 23028 * MIB, 100 * MIB, "570.86", "8.6"),
    ]
    assert "--format=csv,noheader,nounits" in Path(f"{smi}.asked").read_text()


def test_a_gpu_that_shares_the_machines_memory_is_a_gpu(smi: Path) -> None:
    say(smi, "0, GPU-cccc, NVIDIA GB10, [N/A], [N/A], 580.1, 12.1\n")
    assert read_gpus() == [Gpu(0, "GPU-cccc", "NVIDIA GB10", 0, 0, "580.1", "12.1")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("No devices were found\\n", 6),
        (ROWS.replace("\n", "\\n"), 9),
        ("a, b, c\\n", 0),
        ("x, GPU, N, 1, 1, 1, 1\\n", 0),
        ("\\377\\376", 0),
    ],
)
def test_what_is_no_answer_is_no_gpu(smi: Path, text: str, code: int) -> None:
    say(smi, text, code)
    assert read_gpus() == []


def test_gpus_are_read_anew_each_time(smi: Path) -> None:
    assert read_gpus() == []
    say(smi, ROWS)
    assert len(read_gpus()) == 2


def test_a_program_that_cannot_be_run_is_no_gpu(smi: Path) -> None:
    smi.write_bytes(b"\x7fELF nonsense")
    smi.chmod(0o755)
    assert read_gpus() == []
