"""A machine with one GPU, an example with an offload ladder on it, and the ways to run out of
memory."""

from __future__ import annotations

from typing import Any

import pytest

from cvl.core import owner as labels
from cvl.engine.fake import FakeContainer, Program
from cvl.machine.gpus import Gpu
from cvl.ops import place
from cvl.ops.step import StepResult
from tests.ops.bench import Bench, end_with, output_of, request_of

GB = 10**9
MANIFEST = """\
name: paint
summary: Paints
license: {code: Apache-2.0}
resources: {gpu: optional, memory_limit_gb: 8}
inputs:
  text: {type: string, default: hi}
  frames: {type: integer, default: 1}
  image: {type: image, optional: true}
outputs:
  result: {type: file, default: result.txt}
offload: [%s]
"""
RUNGS = (
    "{mode: none, vram_gb: 90}", "{mode: model, vram_gb: 60}",
    "{mode: fp8, vram_gb: 40, exact: false}", "{mode: tiles, vram_gb: 30}",
    "{mode: disk, vram_gb: 20}", "{mode: crawl, vram_gb: 10}",
)  # fmt: skip
MODES = ("none", "model", "fp8", "tiles", "disk", "crawl")


class Machine:
    """A GPU whose free memory the test says, and the modes that containers ran with."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.free = 100 * GB
        self.modes: list[str] = []
        self.keys: list[str] = []

    def gpus(self) -> list[Gpu]:
        return [Gpu(0, "GPU-aaaa", "H200", 141 * GB, self.free, "550", "9.0")]

    def play(self, bad: Program, *good: str) -> None:
        """Containers end in a bad way, but for those of the modes that are good."""

        def program(container: FakeContainer) -> int:
            mode = request_of(container)["options"]["offload"]
            self.modes.append(mode)
            self.keys.append(container.spec.labels[labels.KEY])
            return paint(container) if mode in good else bad(container)

        self.bench.play(program)

    def run(self, **options: Any) -> StepResult:
        """The step of a run, and in `modes` the modes of its containers alone."""
        self.modes.clear()
        options.setdefault("overwrite", True)
        return self.bench.run("paint", **options).steps["paint"]


def machine_with(rungs: int, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Machine:
    bench.add("paint", MANIFEST % ", ".join(RUNGS[:rungs]))
    machine = Machine(bench)
    monkeypatch.setattr(place, "read_gpus", machine.gpus)
    return machine


def paint(container: FakeContainer) -> int:
    output_of(container).write_text(request_of(container)["options"]["offload"])
    return 0


def pid_1(container: FakeContainer) -> int:
    container.oom_killed = True
    return 137


def child(container: FakeContainer) -> int:
    container.oom_killed = True
    return 3


def device(name: str) -> Program:
    return lambda container: end_with(container, 75, status="oom", message="", device=name)
