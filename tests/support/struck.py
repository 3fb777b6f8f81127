"""cvl runs that are each held at a phase while something happens to their engine."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import STUBS, environment_for
from tests.support import leaks
from tests.support.engine import Engine

END_S = 75
TOLD = ("does not answer", "was lost", "still runs", "no Docker engine", "no permission")


@dataclass
class Struck:
    """One run. Its stderr is read as it comes, with the time of each line."""

    phase: str
    seed: int
    process: subprocess.Popen[str]
    target: Path
    lines: list[tuple[float, str]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    out: str = ""
    ended: float = 0.0

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None and self.process.stdout is not None
        for line in self.process.stderr:
            with self.news:
                self.lines.append((time.monotonic(), line))
                self.news.notify_all()
        self.out = self.process.stdout.read()
        self.process.wait()
        with self.news:
            self.ended = time.monotonic()
            self.news.notify_all()

    def until(self, word: str) -> None:
        """It has said this, or has ended without."""

        def said() -> bool:
            return self.ended > 0 or any(word in line for _, line in self.lines)

        with self.news:
            assert self.news.wait_for(said, END_S)
        assert any(word in line for _, line in self.lines), (self.phase, self.lines, self.out)

    def until_held(self) -> None:
        """It has sent itself SIGSTOP at its fault point."""
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def end(self) -> tuple[int, str]:
        """(exit code, code of the error)."""
        self._reader.join(END_S)
        assert self.ended, (self.phase, "hangs", self.lines)
        envelope: dict[str, Any] = json.loads(self.out)
        error = envelope["error"] or {"code": ""}
        return self.process.returncode, error["code"]

    def told(self, after: float) -> float:
        """Seconds from `after` to the first word about the engine, its last one included."""
        times = [at for at, line in self.lines if at >= after and any(w in line for w in TOLD)]
        return min([*times, self.ended]) - after


@dataclass
class Place:
    """An engine that may be struck, and a CVL_HOME of runs on it."""

    engine: Engine
    folder: Path
    serial: itertools.count[int] = field(default_factory=itertools.count)
    runs: list[Struck] = field(default_factory=list)
    before: leaks.Inventory = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **environment_for(self.engine, self.folder / "home"),
            "CVL_EXAMPLES": str(STUBS),
        }
        if not os.environ.get("CVL_TEST_FULL"):
            self.environment["CVL_ENGINE_WAIT_S"] = "20"
        self.before = leaks.take(self.engine, self.folder, self.folder / "home")

    def cvl(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command to its end, a minute at most."""
        return subprocess.run(
            [sys.executable, "-m", "cvl", *words],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run(self, phase: str, *words: str, **environment: str) -> Struck:
        number = next(self.serial)
        target = self.folder / f"{number}.txt"
        command = ["run", "stub", "predict", "--seed", str(number), "-o", str(target), *words]
        process = subprocess.Popen(
            [sys.executable, "-m", "cvl", *command, "--json", "--progress", "json"],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        run = Struck(phase, number, process, target)
        self.runs.append(run)
        return run

    def building(self, seconds: int) -> Struck:
        """In the middle of an instruction of its own image."""
        number = next(self.serial)
        folder = self.folder / f"examples{number}" / "stub"
        folder.mkdir(parents=True)
        for file in (STUBS / "stub").glob("*.*"):
            (folder / file.name).write_bytes(file.read_bytes())
        text = (STUBS / "stub" / "Dockerfile").read_text()
        slow = f"RUN sleep {seconds} && echo {number}\nWORKDIR"
        (folder / "Dockerfile").write_text(text.replace("WORKDIR", slow))
        return self.run("building", CVL_EXAMPLES=str(folder.parent))

    def held(self, phase: str, amount: float) -> Struck:
        """Stops itself at a fault point, with a container that sleeps from then on."""
        words = ("--act", "sleep", "--amount", str(amount))
        return self.run(phase, *words, CVL_FAULT=f"{phase}:SIGSTOP")

    def five(self, amount: float, build_s: int = 20) -> list[Struck]:
        """At every phase that waits for the engine; their programs go on for `amount` seconds."""
        return [
            self.building(build_s),
            self.held("created", 0),
            self.held("started", amount),
            self.run("mid run", "--act", "slowly", "--amount", str(amount)),
            self.run("stopping", "--act", "deaf", "--amount", "40"),
        ]

    def ending(self) -> list[Struck]:
        """In the middle, and about to end."""
        late = ("--act", "late_exit", "--amount", "7")
        return [
            self.held("created", 0),
            self.run("mid run", "--act", "slowly", "--amount", "8"),
            self.run("mid run", "--act", "slowly", "--amount", "5"),
            self.run("ending", "--act", "slowly", "--amount", "3"),
            self.run("failing", *late),
        ]

    def bring(self, runs: list[Struck]) -> None:
        """Every run to its phase; those that are stopped last, since that does not last."""
        for run in sorted(runs, key=lambda run: run.phase == "stopping"):
            if run.phase in ("created", "started"):
                run.until_held()
            elif run.phase == "stopping":
                run.until("deaf from now on")
                run.process.send_signal(signal.SIGINT)
                run.until("; Ctrl-C again")
            else:
                run.until("sleep" if run.phase == "building" else "two seconds old")

    def strike(self, runs: list[Struck], event: Callable[[], object]) -> float:
        """Let the event happen when every run is at its phase; when it did."""
        self.bring(runs)
        now = time.monotonic()
        event()
        for run in runs:
            run.process.send_signal(signal.SIGCONT)
        return now

    def close(self) -> None:
        """Nothing of it goes on, whatever a test found."""
        for run in self.runs:
            run.process.kill()
        self.engine.stop()

    def left(self) -> list[str]:
        """What is there that was not, once another command has had its chance to clean up."""
        result = self.cvl("run", "stub", "predict", "--no-cache", "-o", "last.txt", "--overwrite")
        assert result.returncode == 0, result.stderr
        return leaks.leaked(self.before, leaks.take(self.engine, self.folder, self.folder / "home"))
