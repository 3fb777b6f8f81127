"""cvl commands without the half second that Python takes to start: each is a fork of a process that
has loaded cvl, with a folder, an environment and words of its own. As a program, that process."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent.parent
LOADED = (
    "cvl.cli.app", "cvl.cli.commands.run", "cvl.cli.running", "cvl.cli.progress",
    "cvl.ops.predict", "cvl.ops.sidecars", "cvl.ops.variations", "cvl.ops.authorities",
    "cvl.engine.docker", "cvl.engine.venv", "concurrent.futures.thread", "tempfile", "termios",
)  # fmt: skip
EXAMPLE = Path(__file__).parent / "examples" / "stub"
Item = TypeVar("Item")


class Warm:
    """One such process. Commands run one after the other."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(
        self,
        cwd: Path,
        environment: dict[str, str],
        *words: str,
        stopped: Callable[[], None] = lambda: None,
    ) -> subprocess.CompletedProcess[str]:
        """One command to its end. `stopped` is called when it stops itself, by CVL_FAULT say, and
        it goes on after that."""
        answer = self._say({"cwd": str(cwd), "environment": environment, "words": words})
        while "status" not in answer:
            try:
                stopped()
            finally:
                answer = self._say({})
        return subprocess.CompletedProcess(words, answer["status"], answer["out"], answer["err"])

    def _say(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def close(self) -> None:
        """The process ends when nobody can ask it for anything."""
        self._server.communicate()


@dataclass(frozen=True)
class Failed:
    """What went wrong with one of many."""

    item: object
    error: BaseException


@contextmanager
def warm(count: int) -> Iterator[Callable[[Callable[[Warm, Item], object], list[Item]], None]]:
    """Do something with every item, `count` at a time, each with a Warm of its own; what failed is
    told together."""
    idle: queue.SimpleQueue[Warm] = queue.SimpleQueue()
    every = [Warm() for _ in range(count)]
    for one in every:
        idle.put(one)

    def each(act: Callable[[Warm, Item], object], items: list[Item]) -> None:
        def once(item: Item) -> Failed | None:
            one = idle.get()
            try:
                act(one, item)
            except AssertionError as error:
                return Failed(item, error)
            finally:
                idle.put(one)
            return None

        with ThreadPoolExecutor(count) as pool:
            failed = [found for found in pool.map(once, items) if found]
        told = "\n".join(f"{one.item!r}: {one.error}"[:1500] for one in failed[:10])
        assert not failed, f"{len(failed)} of {len(items)} failed:\n{told}"

    try:
        yield each
    finally:
        for one in every:
            one.close()


def _serve() -> None:
    from cvl.core.validation import validate
    from cvl.ops.examples import read_document

    for module in LOADED:
        __import__(module)
    validate(read_document(EXAMPLE), EXAMPLE.name)  # makes the schemas
    for line in sys.stdin:
        job = json.loads(line)
        out, err = os.memfd_create("out"), os.memfd_create("err")
        pid = os.fork()
        if pid == 0:
            _be(job, out, err)
        status = _to_its_end(pid)
        _answer({"status": status, "out": _read(out), "err": _read(err)})


def _to_its_end(pid: int) -> int:
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        _answer({"stopped": pid})
        sys.stdin.readline()
        os.kill(pid, signal.SIGCONT)


def _be(job: dict[str, Any], out: int, err: int) -> None:
    from cvl.cli.app import run_app

    null = os.open(os.devnull, os.O_RDWR)
    for descriptor, place in ((null, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, place)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    status = 99
    try:
        status = run_app(job["words"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _answer(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def _read(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as stream:
        return stream.read().decode(errors="surrogateescape")


if __name__ == "__main__":
    _serve()
