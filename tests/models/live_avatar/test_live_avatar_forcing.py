"""A step in each process, frames in one more: the film is that of one device, and none hangs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import avatar_case as case
import numpy as np
import pytest
import torch
from avatar_checkpoints import counting, small_model

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "support")]

from checkpoints.families import build  # noqa: E402
from live_avatar.cache import Caches, CacheSizes  # noqa: E402
from live_avatar.dit import FLOAT32_PARTS, AvatarTransformer  # noqa: E402
from live_avatar.forcing import ForcedStudio, RankError  # noqa: E402
from live_avatar.generation import Conditions, generate  # noqa: E402
from live_avatar.sizes import Grid, Sizes  # noqa: E402
from live_avatar.studio import Files, Plan, Setting, Studio, plan_for  # noqa: E402
from live_avatar.timeline import audio_blocks  # noqa: E402
from PIL import Image  # noqa: E402

BOUND_S = 60
"""In which all must have ended, also on a machine that has much else to do."""
SECONDS = 4.0
"""Of speech: 9 blocks, in clips of 2, so that rings go round and round."""


# One after the other in this process: each part of the steps with caches of its own.


def conditions() -> Conditions:
    return Conditions(case.reference(), case.motion(), case.text())


def chained(model: AvatarTransformer, sound: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
    """Blocks that go through a generator for each step, as they go through processes."""
    blocks: Iterator[torch.Tensor] | None = None
    for step in range(steps):
        before = None if blocks is None else (lambda _, left=blocks: next(left))
        blocks = generate(
            model, conditions(), audio_blocks(sound), seed=3, steps=steps, noise=before,
            part=range(step, step + 1),
        )  # fmt: skip
    assert blocks is not None
    return blocks


@pytest.mark.parametrize("steps", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_apart_make_the_very_same_latents(steps: int, dtype: torch.dtype) -> None:
    """Over 9 blocks: every ring has been overwritten twice."""
    model, sound = small_model().to(dtype), case.audio(9)
    for part in FLOAT32_PARTS:
        model.get_submodule(part).float()
    whole = generate(model, conditions(), audio_blocks(sound), seed=3, steps=steps)
    pairs = list(zip(whole, chained(model, sound, steps), strict=True))
    assert len(pairs) == 9
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_a_step_alone_has_flat_memory_from_2_blocks_to_50() -> None:
    model, after = small_model(), []
    given = torch.ones(16, 3, case.HEIGHT, case.WIDTH)
    endless = islice(iter(lambda: case.audio(1), None), 50)
    with counting() as alive:
        part = generate(
            model, conditions(), endless, seed=1, noise=lambda _: given, part=range(1, 2)
        )
        for _ in part:
            after.append(alive())
    assert len(after) == 50 and set(after[2:]) == {after[1]}


@pytest.mark.parametrize("step", range(4))
def test_a_step_alone_takes_the_memory_that_is_said(step: int) -> None:
    """At 704x384 in bfloat16: one ring of 10.4 GB and the conditions, as the README reckons."""
    grid, real = Grid(48, 88), Sizes()
    sizes = CacheSizes(
        real.layers, real.heads, real.head_dim, block=3 * grid.frame_tokens,
        reference=grid.frame_tokens, motion=3 * grid.frame_tokens // 2, steps=1, first=step,
    )  # fmt: skip
    assert 12.9e9 < Caches(sizes, torch.bfloat16, "meta").nbytes < 13.0e9


def test_an_adaptive_sink_is_of_all_steps() -> None:
    sink = generate(
        small_model(), conditions(), iter(()), seed=1, adaptive_sink=True, part=range(1)
    )
    with pytest.raises(ValueError, match="all steps in one place"):
        next(sink)


# In processes that speak over the loopback interface.


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("weights")
    base, lora = (
        build(repo, folder) for repo in ("Wan-AI/Wan2.2-S2V-14B", "Quark-Vision/Live-Avatar")
    )
    return Files(base, lora / "liveavatar.safetensors")


@pytest.fixture(scope="module")
def five(files: Files) -> Iterator[ForcedStudio]:
    """Four steps and frames. Its processes stay, or start anew after a test that ended them."""
    studio = ForcedStudio(files, Setting(), ["cpu"] * 5)
    yield studio
    studio.close()


@pytest.fixture
def two(files: Files) -> Iterator[ForcedStudio]:
    studio = ForcedStudio(files, Setting(), ["cpu"] * 2)
    yield studio
    studio.close()


def film(
    studio: Studio | ForcedStudio, plan: Plan, seed: int = 1, side: int = 64
) -> Iterator[np.ndarray]:  # type: ignore[type-arg]
    times = np.arange(int(plan.seconds * 16000), dtype=np.float32) / 16000
    tone = np.sin(times * (1000 + 300 * times))
    return studio.film(Image.new("RGB", (side, side), "olive"), "a person", tone, plan, seed)


def plan(steps: int, seconds: float = SECONDS) -> Plan:
    return plan_for(seconds, 24, 100, steps)


def ended(pids: list[int]) -> bool:
    """Also those that nobody has waited for: a process that runs has a state that is not Z."""
    states = [Path(f"/proc/{pid}/stat") for pid in pids]
    return all(not stat.exists() or stat.read_text().split(") ")[1][0] == "Z" for stat in states)


def test_processes_make_the_film_of_one_device(files: Files, five: ForcedStudio) -> None:
    """Bit for bit; also one of fewer steps, for which some of the processes have nothing to do."""
    one = Studio(files, Setting())
    for steps, seed in ((4, 1), (2, 5)):
        ours, theirs = (list(film(studio, plan(steps), seed)) for studio in (five, one))
        assert [len(frames) for frames in ours] == [9, *[12] * 7, 7]
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert np.concatenate(ours).std() > 5


def test_a_process_that_dies_ends_all_and_is_named(five: ForcedStudio) -> None:
    """And before it did, with blocks still to be computed, the first frames had come."""
    frames = film(five, plan(4, 20.0))
    assert len(next(frames)) == 9
    pids = five.pids
    os.kill(pids[1], signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(RankError, match=r"^rank 1 \(step 2, on cpu\) failed: Killed: by SIGKILL$"):
        list(frames)
    assert time.monotonic() - began < BOUND_S
    assert len(pids) == 5 and ended(pids) and not five.pids


def test_an_error_in_a_process_ends_all_and_is_told(two: ForcedStudio) -> None:
    """Here of a picture that cannot be encoded, while the other one waits for what comes of it."""
    frames = film(two, plan(1), side=60)
    told = r"^rank 1 \(decoding, on cpu\) failed: ValueError: the autoencoder takes no"
    with pytest.raises(RankError, match=told):
        next(frames)
    assert not two.pids


def test_a_process_that_says_nothing_ends_all(two: ForcedStudio) -> None:
    frames = film(two, plan(1, 20.0))
    next(frames)
    pids = two.pids
    os.kill(pids[0], signal.SIGSTOP)
    two._patience_s = 1
    with pytest.raises(RankError, match="no process has said anything for 1 s"):
        list(frames)
    assert ended(pids)


def test_a_film_of_more_steps_than_devices_is_refused(two: ForcedStudio) -> None:
    with pytest.raises(ValueError, match="2 steps take 3 devices, not 2"):
        next(film(two, plan(2)))


STARTED = """
import sys
sys.path[:0] = {path!r}
import test_live_avatar_forcing as test
from live_avatar.studio import Files
from pathlib import Path
two = test.ForcedStudio(Files(Path({base!r}), Path({lora!r})), test.Setting(), ["cpu"] * 2)
frames = test.film(two, test.plan(1, 20.0))
next(frames)
print(*two.pids, flush=True)
sys.stdin.read()
"""


def test_processes_end_with_the_one_that_started_them(files: Files) -> None:
    """Which is told to end, and has no time for a word to them."""
    path = [str(Path(__file__).parent), *sys.path]
    script = STARTED.format(path=path, base=str(files.base), lora=str(files.lora))
    starter = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    watched = [os.pidfd_open(pid) for pid in pids]
    starter.terminate()
    starter.communicate()
    assert len(pids) == 2
    for descriptor in watched:
        assert select.select([descriptor], [], [], BOUND_S)[0]
        os.close(descriptor)
