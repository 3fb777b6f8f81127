"""Logs of a run, line by line: memory stays flat whatever a program wrote."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cvl.core.names import did_you_mean
from cvl.errors import UserError

CHUNK = 64 << 10
LONGEST_LINE = 4096
OLDER = ".old"


@dataclass(frozen=True)
class StepLog:
    """Log of one step. `older` is the half that was set aside, which may not exist."""

    step: str
    path: Path

    @property
    def older(self) -> Path:
        return self.path.with_name(self.path.name + OLDER)


def step_logs(folder: Path, step: str = "") -> list[StepLog]:
    """Logs of a run in the order in which their steps last wrote; all, or that of one step."""
    with contextlib.suppress(OSError):
        paths = [p for p in folder.glob("*.log") if p.is_file()]
        logs = [StepLog(p.name.removesuffix(".log"), p) for p in sorted(paths, key=_written)]
        return [log for log in logs if step in ("", log.step)]
    return []


def _written(path: Path) -> tuple[int, str]:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns, path.name
    return 0, path.name


def require_step(folder: Path, run: str, step: str) -> None:
    """Raise UserError when the run has no log of `step`."""
    steps = [log.step for log in step_logs(folder)]
    if step not in steps:
        hint = did_you_mean(step, steps) or "it has not logged anything"
        raise UserError(f"{run} has no step {step!r}", hint=hint, code="unknown_step")


@dataclass
class Lines:
    """Bytes in, lines out. A carriage return ends a line too (progress bars), and a line that does
    not end is cut into pieces."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    _rest: str = ""

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[str]:
        """The lines that are complete by now; with `last`, what remains as well."""
        text = self._rest + self._decoder.decode(chunk, last)
        held = "\r" if text.endswith("\r") and not last else ""  # its \n may be in the next chunk
        text = text.removesuffix(held) if held else text
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            yield from _pieces(line)
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
        if last and rest:
            yield rest
            rest = ""
        self._rest = rest + held


def _pieces(line: str) -> Iterator[str]:
    yield line[:LONGEST_LINE]
    for start in range(LONGEST_LINE, len(line), LONGEST_LINE):
        yield line[start : start + LONGEST_LINE]


def read_lines(log: StepLog) -> Iterator[str]:
    """All lines of a step's log as it is now."""
    lines = Lines()
    for path in (log.older, log.path):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield from lines.feed(chunk)
    yield from lines.feed(b"", last=True)


def tail_of(log: StepLog, limit: int) -> tuple[str, bool]:
    """The last `limit` bytes as text, and whether that is all of it."""
    chunks: list[bytes] = []
    for path in (log.path, log.older):
        left = limit - sum(map(len, chunks))
        with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - left))
            chunks.insert(0, stream.read(left))
            if size > left:
                return _text(chunks), False
    return _text(chunks), True


def _text(chunks: list[bytes]) -> str:
    return b"".join(chunks).decode(errors="replace")


@dataclass
class _Followed:
    """A log that is being read while it grows, through the change of files in the middle of it."""

    log: StepLog
    stream: BinaryIO
    lines: Lines = field(default_factory=Lines)

    def more(self) -> Iterator[str]:
        while chunk := self.stream.read(CHUNK):
            yield from self.lines.feed(chunk)

    def switched(self) -> bool:
        """Has another file taken the place of the one that is open?"""
        with contextlib.suppress(OSError):
            status, mine = self.log.path.stat(), os.fstat(self.stream.fileno())
            return (status.st_dev, status.st_ino) != (mine.st_dev, mine.st_ino)
        return False


def follow(
    folder: Path, step: str, emit: Callable[[str, str], None], goes_on: Callable[[], bool]
) -> None:
    """Call emit(step, line) for every line until `goes_on` says that the run has ended. `goes_on`
    is asked before the files are read, so that nothing written before the end is missed; it waits a
    moment itself."""
    followed: dict[str, _Followed] = {}
    try:
        more = True
        while more:
            more = goes_on()
            for log in step_logs(folder, step):
                if log.step not in followed:
                    _begin(followed, log, emit)
                _read_on(followed.get(log.step), emit)
        for item in followed.values():
            for line in item.lines.feed(b"", last=True):
                emit(item.log.step, line)
    finally:
        for item in followed.values():
            item.stream.close()


def _begin(followed: dict[str, _Followed], log: StepLog, emit: Callable[[str, str], None]) -> None:
    with contextlib.suppress(FileNotFoundError):
        item = _Followed(log, log.path.open("rb"))
        followed[log.step] = item
        with contextlib.suppress(FileNotFoundError), log.older.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                for line in item.lines.feed(chunk):
                    emit(log.step, line)


def _read_on(item: _Followed | None, emit: Callable[[str, str], None]) -> None:
    """To the end of the open file; when another has its place, once more, then on to that one."""
    if item is None:
        return
    switched = item.switched()
    for line in item.more():
        emit(item.log.step, line)
    if switched:
        with contextlib.suppress(FileNotFoundError):
            stream = item.log.path.open("rb")
            item.stream.close()
            item.stream = stream
            for line in item.more():
                emit(item.log.step, line)
