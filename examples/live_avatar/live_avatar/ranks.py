"""What one process of several does: a denoising step of every block, or the frames of all.

With n steps the ranks 0 to n - 1 make a step each, and the rank after them decodes. Sound and
latents of a block are handed from rank to rank, so that n blocks are in the making at once, each
one step behind the block before it:

    rank 0        noise -> step 1   of block 7
    rank 1                 step 2   of block 6
    rank 2                 step 3   of block 5
    rank 3                 step 4   of block 4
    rank 4                          frames of block 3
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import tee
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, Callable

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor

from live_avatar.generation import Conditions, generate
from live_avatar.studio import Files, Plan, Setting, Studio, ready_transformer
from live_avatar.timeline import BLOCK_FRAMES, BLOCK_LATENTS, audio_blocks, blocks_for

READY, FILMED = "ready", "filmed"
"""What each rank says when it has met the others; what the last one says after a film's frames."""


@dataclass(frozen=True)
class Scene:
    """What a film is made from, as it is given: see Studio.film."""

    portrait: Image.Image
    prompt: str
    samples: np.ndarray


@dataclass(frozen=True)
class Job:
    """A film to be made; the scene is told to the rank that decodes, which prepares it."""

    plan: Plan
    seed: int
    scene: Scene | None = None


@dataclass(frozen=True)
class Failure:
    """Why a rank ended. `lost`: for no reason of its own, but since it heard no more of another."""

    kind: str
    message: str
    lost: bool = False


@dataclass(frozen=True)
class Rank:
    """One of the processes; `devices`: of all of them. `meeting`: a file where they find each
    other; `patience_s`: how long one waits for another."""

    number: int
    devices: tuple[str, ...]
    files: Files
    setting: Setting
    meeting: str
    patience_s: float

    def __str__(self) -> str:
        does = "decoding" if self.decodes else f"step {self.number + 1}"
        return f"rank {self.number} ({does}, on {self.devices[self.number]})"

    @property
    def last(self) -> int:
        """The number of the rank that decodes."""
        return len(self.devices) - 1

    @property
    def decodes(self) -> bool:
        """Is it that one?"""
        return self.number == self.last

    @property
    def placed(self) -> Setting:
        """How it computes, and where."""
        return replace(self.setting, device=self.devices[self.number])


class Lost(RuntimeError):
    """Another rank is gone, or silent for too long."""


class Line:
    """Tensors from rank to rank, in the order in which they are given."""

    def __init__(self) -> None:
        self._under_way: list[tuple[Any, Tensor]] = []

    def give(self, to: int, *tensors: Tensor) -> None:
        """Send them while the next block is computed. It waits for the ones before, so that no
        more than a block is ever under way."""
        self.delivered()
        with _heard("send to", to):
            ready = [tensor.contiguous() for tensor in tensors]
            self._under_way = [(dist.isend(tensor, to), tensor) for tensor in ready]

    def delivered(self) -> None:
        """Wait until all that was given is taken."""
        with _heard("send to", "the next"):
            for work, _ in self._under_way:
                work.wait()
        self._under_way = []

    def take(self, source: int, into: Tensor) -> Tensor:
        """What a rank gives next; it must have the shape and dtype of `into`, which is filled."""
        with _heard("hear from", source):
            dist.recv(into, source)
        return into

    def share(self, source: int, told: Any = None) -> Any:
        """The same for all ranks: what the source tells."""
        with _heard("hear from", source):
            box = [told]
            dist.broadcast_object_list(box, source, device=torch.device("cpu"))
        return box[0]


@contextmanager
def _heard(verb: str, rank: int | str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise Lost(f"it could not {verb} rank {rank}: {error}") from error


class Denoising:
    """A rank that makes one step of every block."""

    def __init__(self, rank: Rank) -> None:
        self._rank, self._line = rank, Line()
        self._model = ready_transformer(rank.files, rank.placed)

    def __call__(self, job: Job, office: Connection) -> None:
        """Its step of a film. Where the film has fewer steps than there are ranks for, nothing."""
        conditions, heard = self._line.share(self._rank.last)
        number, last = self._rank.number, job.plan.steps - 1
        if number > last:
            return
        sound, passed = tee(self._sound(heard))
        blocks = generate(
            self._model, conditions, sound, seed=job.seed, steps=job.plan.steps,
            noise=self._before(conditions), clip_blocks=job.plan.clip_blocks,
            part=range(number, number + 1),
        )  # fmt: skip
        for latents, block in zip(blocks, passed):
            if number < last:
                self._line.give(number + 1, block, latents)
            else:
                self._line.give(self._rank.last, latents)
        self._line.delivered()

    def _sound(self, heard: tuple[int, int, int]) -> Iterator[Tensor]:
        """Features of each block [states, 12, channels]. Only rank 0 has those of all, `heard`."""
        if self._rank.number == 0:
            yield from audio_blocks(self._line.take(self._rank.last, torch.empty(heard)))
            return
        states, frames, channels = heard
        for _ in range(blocks_for(frames)):
            into = torch.empty(states, BLOCK_FRAMES, channels)
            yield self._line.take(self._rank.number - 1, into)

    def _before(self, conditions: Conditions) -> Callable[[int], Tensor] | None:
        """What the rank before left of a block; rank 0 draws its own noise."""
        if self._rank.number == 0:
            return None
        return lambda _: self._line.take(
            self._rank.number - 1, room_for_block(conditions, self._rank.placed)
        )


class Developing:
    """The rank that prepares a film and decodes it. It has all networks but the transformer."""

    def __init__(self, rank: Rank) -> None:
        self._rank, self._line = rank, Line()
        self._studio = Studio(rank.files, rank.placed)

    def __call__(self, job: Job, office: Connection) -> None:
        """All frames of a film, to the office."""
        assert job.scene is not None
        conditions, blocks = self._prepared(job.scene, job.plan)
        source = job.plan.steps - 1
        latents = (
            self._line.take(source, room_for_block(conditions, self._rank.placed))
            for _ in range(blocks)
        )
        for frames in self._studio.developed(conditions, latents, job.plan):
            office.send(frames)
        office.send(FILMED)

    def _prepared(self, scene: Scene, plan: Plan) -> tuple[Conditions, int]:
        """What the film is made from, and how many blocks; told to all, and the sound to rank 0."""
        conditions, heard = self._studio.prepared(scene.portrait, scene.prompt, scene.samples, plan)
        told = Conditions(*(t.cpu() for t in _tensors(conditions)))
        self._line.share(self._rank.last, (told, tuple(heard.shape)))
        self._line.give(0, heard.float())
        self._line.delivered()
        return conditions, blocks_for(heard.shape[1])


def _tensors(conditions: Conditions) -> tuple[Tensor, Tensor, Tensor]:
    return conditions.reference, conditions.motion, conditions.text


def room_for_block(conditions: Conditions, setting: Setting) -> Tensor:
    """For latents [channels, 3, height, width]."""
    channels, _, height, width = conditions.reference.shape
    shape = (channels, BLOCK_LATENTS, height, width)
    return torch.empty(shape, dtype=setting.dtype, device=setting.device)


def serve(rank: Rank, office: Connection) -> None:
    """A rank's whole life: meet the others, then make one film after the other. It ends with the
    process that started it, and when it fails, for which it gives its reason first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides what it means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _meet(rank)
        office.send(READY)
        work = Developing(rank) if rank.decodes else Denoising(rank)
        for job in _jobs(office):
            work(job, office)
    except Exception as error:
        lost = isinstance(error, Lost)
        if not lost:
            traceback.print_exc()
        office.send(Failure(type(error).__name__, str(error), lost))
        sys.stderr.flush()
        os._exit(1)  # an orderly end would wait for ranks that may be gone


def _jobs(office: Connection) -> Iterator[Job]:
    """Until the office is closed."""
    while True:
        try:
            job = office.recv()
        except EOFError:
            return
        yield job


def _end_with_parent() -> None:
    """However it ends: nothing of ours outlives it."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _meet(rank: Rank) -> None:
    """Over the loopback interface alone: containers have no other, and nobody else is meant."""
    on_gpu = rank.placed.device.startswith("cuda")
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ.update(GLOO_SOCKET_IFNAME=loopback, NCCL_SOCKET_IFNAME=loopback)
    if on_gpu:
        torch.cuda.set_device(rank.placed.device)
    with _heard("meet", "0 and the others"):
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            init_method=f"file://{rank.meeting}",
            rank=rank.number,
            world_size=len(rank.devices),
            timeout=timedelta(seconds=rank.patience_s),
        )
