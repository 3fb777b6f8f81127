"""What was asked of the stand-in, in order, and a way to wait until something was."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass
class Record:
    """A request and how it was answered.

    `host` is the listener: hub, cdn or elsewhere. `path` is the URL's path and query; `repo` and
    `file` are what it is about (of the API, `file` is `api:` and the operation). `status` is 0
    until the answer began; `sent` counts the bytes of the body that were given to the socket
    (in pieces of up to 64 KiB: with a client that went away, the last may not have left);
    `done` is set when the answer is over, whole or not. `token`: good, stranger, bad or none.
    """

    number: int
    host: str
    method: str
    path: str
    repo: str = ""
    file: str = ""
    range: str = ""
    authorization: bool = False
    token: str = "none"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    sent: int = 0
    done: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which requests are meant; `path` is a pattern over the file's path or the URL's."""

    method: str = "*"
    repo: str = "*"
    path: str = "*"
    host: str = "*"
    status: int | None = None
    sent: int = 0
    done: bool = False

    def means(self, record: Record) -> bool:
        """Whether a request is one of those, as far as it has come."""
        pairs = [(record.method, self.method), (record.repo, self.repo), (record.host, self.host)]
        if not all(fnmatchcase(value, pattern) for value, pattern in pairs):
            return False
        if not any(fnmatchcase(value, self.path) for value in (record.file, record.path)):
            return False
        if self.status is not None and record.status != self.status:
            return False
        return record.sent >= self.sent and (record.done or not self.done)


class Journal:
    """Records in the order of arrival. Everything that changes goes through it and wakes waits."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._changed = threading.Condition()
        self._count = 0

    def arrived(self, **known: Any) -> Record:
        with self._changed:
            self._count += 1
            record = Record(self._count, **known)
            self._records.append(record)
            self._changed.notify_all()
            return record

    def update(self, record: Record, **now: Any) -> None:
        with self._changed:
            for name, value in now.items():
                setattr(record, name, value)
            self._changed.notify_all()

    def records(self, wanted: Wanted | None = None) -> list[Record]:
        """Copies, as they are now."""
        wanted = wanted or Wanted()
        with self._changed:
            return [dataclasses.replace(r) for r in self._records if wanted.means(r)]

    def clear(self) -> None:
        with self._changed:
            self._records.clear()

    def nudge(self) -> None:
        """Something that waits look at has changed outside."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, true: Callable[[], bool], timeout: float) -> bool:
        """Block until `true()` holds, at most `timeout` seconds; whether it does."""
        end = time.monotonic() + timeout
        with self._changed:
            while not true():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True
