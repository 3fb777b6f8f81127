"""A film on several GPUs: a process for each denoising step, and one that decodes.

    studio = ForcedStudio(files, setting, ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4"])
    for frames in studio.film(portrait, prompt, samples, plan, seed=42):
        ...

Every step has caches of its own, filled at its own noise level, so that a step needs nothing of the
others but the latents they leave ("timestep forcing"). The frames are those of one GPU, bit for
bit. Here is the process that starts the others and watches them; what they do is in `ranks`.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch.multiprocessing
from PIL import Image

from live_avatar.ranks import Failure, Job, Rank, Scene, serve
from live_avatar.studio import Files, Plan, Setting

PATIENCE_S = 1800.0
"""How long nothing may come: weights may be read from a slow disk, and compiled."""
GRACE_S = 5.0
"""How long the reason may come later than the news that a rank was lost."""
GOODBYE_S = 10.0
"""How long a process may take to end when it has closed its line already."""


class RankError(RuntimeError):
    """One of the processes failed or ended; by then all of them have."""


class ForcedStudio:
    """Makes films as Studio does, one at a time. Processes start with the first film and stay for
    the next ones; when one fails, or a film is left before its end, all end."""

    def __init__(
        self,
        files: Files,
        setting: Setting,
        devices: Sequence[str],
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`devices`: one for each step, and one to decode."""
        self._files, self._setting = files, setting
        self._devices, self._patience_s = tuple(devices), patience_s
        self._processes: list[torch.multiprocessing.Process] = []
        self._offices: dict[Connection, Rank] = {}
        self._meeting: tempfile.TemporaryDirectory[str] | None = None

    def film(
        self, portrait: Image.Image, prompt: str, samples: np.ndarray, plan: Plan, seed: int
    ) -> Iterator[np.ndarray]:
        """As Studio.film. Raises RankError and FloatingPointError; ValueError for a plan of more
        steps than there are devices."""
        if plan.steps >= len(self._devices):
            raise ValueError(
                f"{plan.steps} steps take {plan.steps + 1} devices, not {len(self._devices)}"
            )
        try:
            if not self._processes:
                self._start()
            self._tell(Job(plan, seed), Scene(portrait, prompt, samples))
            while True:
                for news in self._news(self._patience_s):
                    if isinstance(news, str):
                        return  # FILMED
                    yield news
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all processes; they hold nothing that they would have to put away."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for office in self._offices:
            office.close()
        self._processes, self._offices = [], {}
        if self._meeting is not None:
            self._meeting.cleanup()
            self._meeting = None

    @property
    def pids(self) -> list[int]:
        """Of the processes that were started, by rank."""
        return [process.pid or 0 for process in self._processes]

    def _start(self) -> None:
        """Spawned, not forked: CUDA and threads do not survive a fork."""
        spawning = torch.multiprocessing.get_context("spawn")
        self._meeting = tempfile.TemporaryDirectory(prefix="ranks-")
        meeting = str(Path(self._meeting.name) / "meeting")
        for number in range(len(self._devices)):
            rank = Rank(
                number, self._devices, self._files, self._setting, meeting, self._patience_s
            )
            ours, theirs = spawning.Pipe()
            process = spawning.Process(target=serve, args=(rank, theirs), daemon=True)
            process.start()
            theirs.close()  # so that ours says when the process is gone
            self._processes.append(process)
            self._offices[ours] = rank
        met = 0
        while met < len(self._devices):
            met += len(self._news(self._patience_s))

    def _tell(self, job: Job, scene: Scene) -> None:
        for office, rank in self._offices.items():
            try:
                office.send(Job(job.plan, job.seed, scene) if rank.decodes else job)
            except (BrokenPipeError, ConnectionResetError):
                return  # why it is gone is in the news

    def _news(self, patience_s: float) -> list[Any]:
        """What ranks say next: at least one thing. Raises RankError when one has failed."""
        heard = self._heard(patience_s)
        failures = [(rank, news) for rank, news in heard if isinstance(news, Failure)]
        if failures:
            raise self._error(failures)
        if not heard:
            raise RankError(f"no process has said anything for {patience_s:g} s")
        return [news for _, news in heard]

    def _error(self, failures: list[tuple[Rank, Failure]]) -> Exception:
        """Of a rank that is gone all others hear; what it died of is the reason that counts."""
        until = time.monotonic() + GRACE_S
        while all(failure.lost for _, failure in failures) and time.monotonic() < until:
            later = self._heard(until - time.monotonic())
            failures += [(rank, news) for rank, news in later if isinstance(news, Failure)]
        rank, failure = min(failures, key=lambda found: found[1].lost)
        if failure.kind == FloatingPointError.__name__:
            return FloatingPointError(failure.message)
        return RankError(f"{rank} failed: {failure.kind}: {failure.message}")

    def _heard(self, timeout_s: float) -> list[tuple[Rank, Any]]:
        """One thing of each rank that has something to say; no more after its failure."""
        heard = []
        for office in wait(list(self._offices), timeout_s):
            assert isinstance(office, Connection)
            rank = self._offices[office]
            try:
                news = office.recv()
            except (EOFError, OSError):
                news = self._gone(rank)
            if isinstance(news, Failure):
                del self._offices[office]
                office.close()
            heard.append((rank, news))
        return heard

    def _gone(self, rank: Rank) -> Failure:
        """Of a process that ended without a word."""
        process = self._processes[rank.number]
        process.join(GOODBYE_S)
        code = process.exitcode
        if code is None:
            return Failure("Ended", "its line is closed")
        if code < 0:
            return Failure("Killed", f"by {signal.Signals(-code).name}")
        return Failure("Ended", f"with exit code {code}")
