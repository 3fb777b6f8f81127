"""Writers of run records that are there to be killed: what each does is known beforehand, so that
what it left can be held against it. `python -m tests.store.writing` forks them from a warm process.

It reads `fork NAME SEED PATH`, `read PATH` and `kill NAME`, and writes `NAME DOCUMENT` for every
write that was acknowledged and `gone NAME` after the last of them.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cvl.core.offload import Peak
from cvl.core.owner import Owner
from cvl.store.records import CANCELLED, FAILED, INTERRUPTED, OK, RUNNING, PeakKey, Records

ENDS = (OK, FAILED, CANCELLED, INTERRUPTED)
MODES = ("none", "model", "sequential")
OWNER = Owner("1000", "home", "42", "7", "boot", "ns")


@dataclass(frozen=True)
class Write:
    """One call of a writing method."""

    method: str
    arguments: tuple[Any, ...]

    def carry_out(self, records: Records, name: str) -> object:
        """Returns once it is on disk."""
        if self.method == "remember_image":
            image, base_id = self.arguments
            return records.remember_image(name, image, base=f"base-{name}", base_id=base_id)
        if self.method == "learn":
            mode, gpu, container = self.arguments
            return records.learn(PeakKey(name, "cuda", 1), mode, Peak(gpu, container))
        if self.method == "forget_before":
            return records.forget_before(time.time())
        return getattr(records, self.method)(*self.arguments)


@dataclass
class Left:
    """What a writer's own rows are after some of its writes. runs: id -> (state, exit, code,
    message, outputs); scratch: id -> paths."""

    runs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    scratch: dict[str, list[Path]] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    base: str = ""
    peaks: dict[str, Peak] = field(default_factory=dict)

    def apply(self, write: Write) -> None:
        given = write.arguments
        if write.method == "begin":
            self.runs[given[0]] = (RUNNING, None, "", "", {})
            self.scratch[given[0]] = given[4]
        elif write.method == "end":
            if self.runs[given[0]][0] == RUNNING:
                self.runs[given[0]] = given[1:]
                del self.scratch[given[0]]
        elif write.method == "remember_image":
            self.images.add(given[0])
            self.base = given[1]
        elif write.method == "learn":
            old = self.peaks.get(given[0], Peak(0, 0))
            new = [
                o if n is None else n
                for o, n in zip((old.gpu, old.container), given[1:], strict=True)
            ]
            self.peaks[given[0]] = Peak(*new)


def writes(name: str, seed: int) -> Iterator[Write]:
    """What the writer `name` does, without end."""
    chance = random.Random(seed)
    begun: list[str] = []
    for number in itertools.count():
        kind = chance.choices(
            ("begin", "end", "remember_image", "learn", "forget_before"), (4, 4, 2, 2, 1)
        )[0]
        if kind == "begin" or (kind == "end" and not begun):
            run = f"{name}-{number}"
            begun.append(run)
            scratch = [Path(f"/scratch/{run}/{n}") for n in range(chance.randrange(4))]
            yield Write("begin", (run, "echo", "predict", OWNER, scratch))
        elif kind == "end":  # perhaps one that has ended already
            run, state = chance.choice(begun[-4:]), chance.choice(ENDS)
            told = (chance.randrange(9), f"code_{number}", "x" * chance.randrange(9000))
            yield Write("end", (run, state, *told, {"video": f"/{number}.mp4"}))
        elif kind == "remember_image":
            yield Write(kind, (f"image-{chance.randrange(5)}", f"id-{number}"))
        elif kind == "learn":
            sizes = [chance.choice((None, chance.randrange(1, 99))) for _ in range(2)]
            yield Write(kind, (chance.choice(MODES), *sizes))
        else:
            yield Write(kind, ())


def after(name: str, seed: int, count: int) -> tuple[Left, Left, Write]:
    """What it left after `count` writes, after one more, and that one."""
    left, script = Left(), writes(name, seed)
    for write in itertools.islice(script, count):
        left.apply(write)
    following, more = next(script), copy.deepcopy(left)
    more.apply(following)
    return left, more, following


def _say(name: str, document: object) -> None:
    """In one piece, whoever else writes."""
    line = f"{name} {json.dumps(document)}\n".encode()
    assert len(line) <= 4096
    os.write(1, line)


def _write(name: str, seed: int, path: Path) -> None:
    records = Records(path)
    for write in writes(name, seed):
        gone = write.carry_out(records, name)
        _say(name, gone if write.method == "forget_before" else None)


def _read(path: Path) -> None:
    """Look on, and say what cannot be: a run that ended goes on, or ends in another way."""
    seen: dict[str, tuple[str, int | None]] = {}
    for number in itertools.count():
        for run in Records(path).runs(limit=10**9):
            known = seen.setdefault(run.id, (run.state, run.exit))
            possible = run.state == RUNNING or (run.state in ENDS and run.ended is not None)
            if not possible or (known[0] != RUNNING and known != (run.state, run.exit)):
                _say("impossible", [run.id, known, run.state, run.exit])
            seen[run.id] = (run.state, run.exit)
        if number == 0:
            _say("reads", None)
        time.sleep(0.02)


def _forked(work: Any, *arguments: Any) -> int:
    pid = os.fork()
    if pid:
        return pid
    _end_of_child(work, *arguments)


def _end_of_child(work: Any, *arguments: Any) -> NoReturn:
    status = 1
    try:
        work(*arguments)
        status = 0
    except BaseException as error:
        _say("error", repr(error))
    finally:
        os._exit(status)


def main() -> None:
    pids: dict[str, int] = {}
    for line in sys.stdin:
        word, name, *rest = line.split()
        if word == "fork":
            pids[name] = _forked(_write, name, int(rest[0]), Path(rest[1]))
        elif word == "read":
            pids["reader"] = _forked(_read, Path(name))
        else:
            os.kill(pids[name], signal.SIGKILL)
            os.waitpid(pids.pop(name), 0)
            _say("gone", name)
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
